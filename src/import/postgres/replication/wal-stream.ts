import type { Client, Submittable } from 'pg';
import { destroyClient, pauseReading } from '../../../internal/client-guard.ts';
import { quoteIdentifier, quoteLiteral } from '../../../internal/quote.ts';
import { lsnText } from '../lsn.ts';

/** Takes what the stream brings. While a promise it returned is pending nothing further is delivered. */
export interface WalHandler {
  /** One message of the output plugin, from `at` on. The bytes are valid during the call only. */
  message(bytes: Buffer, at: number): Promise<void> | undefined;
  /** Everything before this place was delivered. */
  alive(end: bigint): void;
  failed(error: unknown): void;
}

export interface WalStreamOptions {
  readonly slot: string;
  readonly publication: string;
  readonly start: bigint;
  readonly handler: WalHandler;
  /** How often the server is told that we live, and asked whether it does. */
  readonly heartbeatMs: number;
}

const DATA = 0x77;
const KEEPALIVE = 0x6b;
const EPOCH_MS = 946_684_800_000;
/** Header of a data message: its place, the end of the log, the time. */
const DATA_HEADER = 25;

/** node-postgres' connection, as far as both-way copying goes; its types leave it out. */
interface CopyBothConnection {
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
}

/**
 * START_REPLICATION on a session of node-postgres: messages come in as CopyData, our standing goes back the same way.
 *
 * The driver hands over whatever a read of the socket brought, paused or not; what comes while the handler is at work
 * is kept here, in copies, and delivered after.
 */
export class WalStream {
  readonly #client: Client;
  readonly #options: WalStreamOptions;
  readonly #waiting: Buffer[] = [];
  readonly #timer: NodeJS.Timeout;
  #connection: CopyBothConnection | undefined;
  #busy = false;
  #held = false;
  #ended = false;
  #received: bigint;
  #confirmed = 0n;

  private constructor(client: Client, options: WalStreamOptions) {
    this.#client = client;
    this.#options = options;
    this.#received = options.start;
    this.#timer = setInterval(() => this.#tell(true), options.heartbeatMs);
  }

  /** The client becomes the stream's. */
  static start(client: Client, options: WalStreamOptions): WalStream {
    const stream = new WalStream(client, options);
    client.query(stream as unknown as Submittable);
    return stream;
  }

  /** Our side has everything before this place safely: the source may forget it. */
  confirm(place: bigint): void {
    if (place > this.#confirmed) this.#confirmed = place;
  }

  pause(): void {
    this.#held = true;
    pauseReading(this.#client, true);
  }

  resume(): void {
    this.#held = false;
    this.#deliver();
  }

  stop(): void {
    if (this.#ended) return;
    this.#tell(false);
    this.#end();
    destroyClient(this.#client);
  }

  #end(): void {
    this.#ended = true;
    clearInterval(this.#timer);
    this.#waiting.length = 0;
  }

  #tell(wantsReply: boolean): void {
    if (this.#connection === undefined || this.#ended) return;
    const status = Buffer.alloc(34);
    status[0] = 0x72;
    status.writeBigUInt64BE(this.#received, 1);
    status.writeBigUInt64BE(this.#confirmed, 9);
    status.writeBigUInt64BE(this.#confirmed, 17);
    status.writeBigInt64BE(BigInt(Date.now() - EPOCH_MS) * 1_000n, 25);
    status[33] = wantsReply ? 1 : 0;
    this.#connection.sendCopyFromChunk(status);
  }

  #take(chunk: Buffer): void {
    switch (chunk[0]) {
      case DATA: {
        const end = chunk.readBigUInt64BE(9);
        if (end > this.#received) this.#received = end;
        const work = this.#options.handler.message(chunk, DATA_HEADER);
        if (work !== undefined) this.#wait(work);
        return;
      }
      case KEEPALIVE: {
        const end = chunk.readBigUInt64BE(1);
        if (end > this.#received) this.#received = end;
        this.#options.handler.alive(end);
        if (chunk[17] === 1) this.#tell(false);
      }
    }
  }

  #wait(work: Promise<void>): void {
    this.#busy = true;
    pauseReading(this.#client, true);
    work.then(
      () => {
        this.#busy = false;
        this.#deliver();
      },
      (error: unknown) => this.#fail(error),
    );
  }

  /** Delivers what was kept, then lets the socket flow again. */
  #deliver(): void {
    try {
      while (!this.#busy && !this.#held && !this.#ended) {
        const next = this.#waiting.shift();
        if (next === undefined) {
          pauseReading(this.#client, false);
          return;
        }
        this.#take(next);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#ended) return;
    this.#end();
    destroyClient(this.#client);
    this.#options.handler.failed(error);
  }

  // What node-postgres calls on a query

  submit(connection: CopyBothConnection): void {
    const { slot, publication, start } = this.#options;
    this.#connection = connection;
    const names = quoteLiteral(quoteIdentifier(publication)).trim();
    connection.query(
      `START_REPLICATION SLOT ${quoteIdentifier(slot)} LOGICAL ${lsnText(start)} (proto_version '1', publication_names ${names})`,
    );
  }

  handleCopyData({ chunk }: { chunk: Buffer }): void {
    if (this.#ended) return;
    if (this.#busy || this.#held || this.#waiting.length > 0) {
      this.#waiting.push(Buffer.from(chunk));
      return;
    }
    try {
      this.#take(chunk);
    } catch (error) {
      this.#fail(error);
    }
  }

  handleError(error: unknown): void {
    this.#fail(error);
  }

  handleReadyForQuery(): void {
    this.#fail(new Error('Connection terminated: the server ended the stream'));
  }

  handleCommandComplete(): void {}
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
  handleCopyInResponse(): void {}
}
