import { AbortedError, HypervaultError } from '../../../errors.ts';
import { BinlogPurgedError, SourceUnavailableError } from '../../errors.ts';
import { loadZongji } from '../driver.ts';
import { driverOptions, explain } from '../session.ts';
import { type MysqlSettings, sourceLabel } from '../settings.ts';
import { loadUnzstd, type Unzstd } from '../zstd.ts';
import { PacketReader } from './packet-reader.ts';
import { isRowsEvent, PARTIAL_UPDATE_EVENT, TABLE_MAP_EVENT, TRANSACTION_PAYLOAD_EVENT } from './rows-event.ts';
import { QUERY_EVENTS, readStatementTime, type StatementTime } from './statement-time.ts';
import { unpackTransaction } from './transaction-payload.ts';
import type { BinlogEvent, Packet, ZongJi } from './zongji-types.ts';

/** Where to begin: by GTID when there is one (it survives a failover of the source), else by file and offset. */
export interface TransportStart {
  readonly file: string;
  readonly offset: number;
  readonly gtid: string | null;
}

export interface TransportOptions {
  readonly settings: MysqlSettings;
  readonly serverId: number;
  readonly start: TransportStart;
  /** How often an idle source says that it is there. */
  readonly heartbeatMs: number;
  readonly mariadb: boolean;
}

/** What the transport calls, in the order of the binlog. Nothing is called after {@link BinlogTransport.stop}. */
export interface TransportHandler {
  /** When the statement of the query event that follows ran. */
  statementTime(time: StatementTime): void;
  /** A TABLE_MAP or rows event, one of partial updates too, undecoded: its body without header and checksum. */
  raw(type: number, body: PacketReader, header: EventHeader): void;
  /** Any other event, decoded by zongji. */
  event(event: BinlogEvent): void;
  /** The stream ended; nothing follows. */
  failed(error: unknown): void;
}

export interface EventHeader {
  /** Seconds since 1970. */
  readonly timestamp: number;
  /** Where the next event begins; 0 inside a transaction of MariaDB. */
  readonly nextPosition: number;
}

const HEADER_BYTES = 19;
const CHECKSUM_BYTES = 4;

/** An event as the server would have sent it by itself. */
function asPacket(event: Buffer, checksum: number, like: Packet): Packet {
  const buffer = Buffer.concat([Buffer.of(0), event, Buffer.alloc(checksum)]);
  buffer.writeUInt32LE(event.length + checksum, 10);
  return Object.assign(Object.create(Object.getPrototypeOf(like) as object) as Packet, {
    buffer,
    offset: 0,
    end: buffer.length,
  });
}

function carriesRows(type: number): boolean {
  return type === TABLE_MAP_EVENT || type === PARTIAL_UPDATE_EVENT || isRowsEvent(type);
}

/**
 * The binlog as a stream of events: `@vlasky/zongji` connects, authenticates, asks for the dump and decodes
 * everything but table maps and rows, which are tapped before it sees them (why: {@link RowDecoder}).
 *
 * The tap hangs on two details of zongji 0.9, which a test pins: the command class is made once per start and is
 * reachable in the `ready` event, and its `binlogData` is looked up again for every packet.
 */
export class BinlogTransport {
  readonly #zongji: ZongJi;
  readonly #handler: TransportHandler;
  readonly #label: string;
  readonly #unzstd: Unzstd | null;
  #stopped = false;
  #paused = false;
  /** The compressed transaction in hand. */
  #unpacked: { readonly events: Iterator<Buffer, void>; readonly take: (event: Buffer) => void } | null = null;

  private constructor(zongji: ZongJi, handler: TransportHandler, label: string, unzstd: Unzstd | null) {
    this.#zongji = zongji;
    this.#handler = handler;
    this.#label = label;
    this.#unzstd = unzstd;
  }

  static async start(options: TransportOptions, handler: TransportHandler): Promise<BinlogTransport> {
    const { default: Zongji } = await loadZongji();
    const zongji = new Zongji(driverOptions(options.settings)) as unknown as ZongJi;
    const transport = new BinlogTransport(zongji, handler, sourceLabel(options.settings), await loadUnzstd());
    await transport.#begin(options);
    return transport;
  }

  /** Stops reading from the socket; what was read already still arrives after {@link resume}. */
  pause(): void {
    this.#paused = true;
    this.#zongji.connection?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#feed();
    if (!this.#paused) this.#zongji.connection?.resume();
  }

  stop(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    this.#stopped = true;
    return new Promise((resolve) => {
      this.#zongji.once('stopped', () => resolve());
      this.#zongji.stop();
    });
  }

  #begin(options: TransportOptions): Promise<void> {
    const { start } = options;
    return new Promise((resolve, reject) => {
      let begun = false;
      this.#zongji.on('error', (error: Error) => {
        if (this.#stopped) return;
        const explained = this.#explain(error, options);
        if (begun) this.#fail(explained);
        else reject(explained);
      });
      this.#zongji.on('ready', () => {
        this.#tap(options);
        this.#askForHeartbeats(options);
        begun = true;
        resolve();
      });
      this.#zongji.on('binlog', (event: BinlogEvent) => {
        if (!this.#stopped) this.#guard(() => this.#handler.event(event));
      });
      this.#zongji.start({
        serverId: options.serverId,
        ...(start.gtid === null || start.gtid === ''
          ? { filename: start.file, position: start.offset }
          : { gtidSet: start.gtid }),
      });
    });
  }

  /** Puts ourselves in front of zongji for the events that carry rows. */
  #tap(options: TransportOptions): void {
    const zongji = this.#zongji;
    const { prototype } = zongji.BinlogClass;
    const original = prototype.binlogData;
    const transport = this;
    const checksum = zongji.useChecksum ? CHECKSUM_BYTES : 0;
    prototype.binlogData = function binlogData(packet, connection) {
      const { buffer, offset, end } = packet;
      const type = buffer[offset + 5]!;
      const isEvent = buffer[offset] === 0;
      const body = (): PacketReader => new PacketReader(buffer, offset + 1 + HEADER_BYTES, end - checksum);
      if (isEvent && QUERY_EVENTS.has(type) && !transport.#stopped) {
        transport.#guard(() => transport.#handler.statementTime(readStatementTime(body())));
      }
      if (isEvent && type === TRANSACTION_PAYLOAD_EVENT) {
        const nextPosition = buffer.readUInt32LE(offset + 14);
        transport.#unpacked = {
          events: unpackTransaction(body(), nextPosition, transport.#unzstd),
          take: (event) => binlogData.call(this, asPacket(event, checksum, packet), connection),
        };
        transport.#feed();
        return prototype.binlogData;
      }
      if (!isEvent || !carriesRows(type)) return original.call(this, packet, connection);
      if (!transport.#stopped) {
        const header = { timestamp: buffer.readUInt32LE(offset + 1), nextPosition: buffer.readUInt32LE(offset + 14) };
        transport.#guard(() => transport.#handler.raw(type, body(), header));
      }
      return prototype.binlogData;
    };
    // Without it an error packet of the server (a purged binlog) would be emitted where nobody listens, and end the process
    prototype.onResult = (error: Error) => this.#fail(this.#explain(error, options));
  }

  /** Hands over the events of a compressed transaction, for as long as they are wanted. */
  #feed(): void {
    while (this.#unpacked !== null && !this.#paused && !this.#stopped) {
      const { events, take } = this.#unpacked;
      this.#guard(() => {
        const { value, done } = events.next();
        if (done === true) this.#unpacked = null;
        else take(value);
      });
    }
  }

  #askForHeartbeats({ heartbeatMs, mariadb }: TransportOptions): void {
    const nanoseconds = BigInt(heartbeatMs) * 1_000_000n;
    const variable = mariadb ? '@master_heartbeat_period' : '@master_heartbeat_period, @source_heartbeat_period';
    for (const name of variable.split(', ')) {
      this.#zongji.connection?.query(`set ${name} = ${nanoseconds}`, () => {});
    }
  }

  /** What a handler throws ends the stream, not the process. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#stopped) return;
    this.stop().catch(() => {});
    this.#handler.failed(error);
  }

  #explain(error: Error, { start }: TransportOptions): unknown {
    if (error instanceof HypervaultError || error instanceof AbortedError) return error;
    const { errno } = error as { errno?: number };
    // ER_MASTER_FATAL_ERROR_READING_BINLOG covers purged files, unknown positions and slaves with our server id
    if (
      errno === 1236 &&
      /purged|could not find|not found|doesn't exist|beyond|impossible position|already been purged|required by the replica|too old/i.test(
        error.message,
      )
    ) {
      const from = start.gtid ?? `${start.file}:${start.offset}`;
      return new BinlogPurgedError(
        `${this.#label} no longer has its binlog from ${from} on (${error.message}); copy again with init-replica or sync-tables`,
        { cause: error },
      );
    }
    const explained = explain(this.#label, error);
    return explained === error && errno === 1236
      ? new SourceUnavailableError(`${this.#label} ended the binlog stream: ${error.message}`, { cause: error })
      : explained;
  }
}
