import { FlowGate } from '../../stream/flow-gate.ts';
import type { FollowedTable } from '../../stream/followed-table.ts';
import { OpenBatch } from '../../stream/open-batch.ts';
import type { RowSink } from '../../stream/row-sink.ts';
import type { PacketReader } from './packet-reader.ts';
import { type BinlogPosition, toPosition } from './position.ts';
import type { ChangeReaderOptions, SourceStatement } from './reader-options.ts';
import { isRowsEvent, PARTIAL_UPDATE_EVENT, parseRowsEvent, TABLE_MAP_EVENT } from './rows-event.ts';
import { TableShapes } from './shapes.ts';
import type { StatementTime } from './statement-time.ts';
import type { EventHeader, TransportHandler } from './transport.ts';
import type { BinlogEvent } from './zongji-types.ts';

/** How long an idle replica may leave its stored position behind. */
const IDLE_POSITION_MS = 1_000;

/**
 * Turns binlog events into batches of whole transactions.
 *
 * ```
 *            gtid / BEGIN            xid / COMMIT / a statement of its own
 *   between ─────────────▶ inside ─────────────────────────────▶ between
 * ```
 *
 * The place of the log that is ever stored is the end of a group of events, so reading can always begin there again.
 */
export class ChangeReader implements TransportHandler {
  readonly #options: ChangeReaderOptions;
  readonly #shapes: TableShapes;
  readonly #sink: RowSink;
  readonly #open: OpenBatch;
  #file: string;
  #offset: number;
  #inside = false;
  /** In an XA transaction, whose rows are logged at its PREPARE and may be rolled back much later. */
  #xa = false;
  #gtid: string | null = null;
  #handedOverAt = 0;
  #statementTime: StatementTime = { microseconds: 0, timeZone: null };
  readonly flow = new FlowGate();

  constructor(options: ChangeReaderOptions) {
    this.#options = options;
    this.#sink = options.sink;
    this.#sink.cascades.onUnfollowable = (table, reason) => options.host.setAside(table, reason);
    this.#shapes = new TableShapes(options.charsets, {
      mariadb: options.mariadb,
      cascades: () => options.host.cascades(),
    });
    this.#file = options.start.file;
    this.#offset = options.start.offset;
    const { queue, host, from } = options;
    this.#open = new OpenBatch({ from, queue, flow: this.flow, handedOver: (batch) => host.handedOver(batch) });
    options.queue.onWanted = () => {
      if (!this.#inside) this.#handOver(false);
    };
  }

  statementTime(time: StatementTime): void {
    this.#statementTime = time;
  }

  raw(type: number, body: PacketReader, header: EventHeader): void {
    if (type === TABLE_MAP_EVENT) this.#learn(body);
    else if (type === PARTIAL_UPDATE_EVENT) this.#partialUpdate(body);
    else if (isRowsEvent(type)) this.#rows(type, body, header);
  }

  event(event: BinlogEvent): void {
    switch (event.getTypeName()) {
      case 'Rotate':
        this.#file = event.binlogName!;
        this.#offset = event.position!;
        return;
      case 'Gtid':
      case 'AnonymousGtid':
      case 'MariadbGtid':
        this.#begin(event);
        return;
      case 'Xid':
        this.#commit(event);
        return;
      case 'Query':
        this.#query(event);
        return;
      case 'Heartbeat':
        this.#options.host.heard();
        if (!this.#inside) this.#handOver(true);
        return;
      default:
        // Everything else stands between transactions or says nothing; MariaDB writes 0 inside of them
        if (!this.#inside && event.nextPosition > 0) this.#advance(event.nextPosition);
    }
  }

  failed(error: unknown): void {
    this.#options.host.failed(error);
  }

  #learn(body: PacketReader): void {
    const { host } = this.#options;
    let followed: FollowedTable | null = null;
    try {
      this.#shapes.learn(body, (schema, name) => {
        followed = host.find(schema, name);
        return followed;
      });
    } catch (error) {
      if (followed === null) throw error;
      host.setAside(followed, error);
    }
  }

  #rows(type: number, body: PacketReader, header: EventHeader): void {
    const event = parseRowsEvent(type, body);
    const shape = this.#shapes.of(event.tableId);
    if (shape === null) return;
    const batch = this.#open.current;
    const { rows } = event;
    const { whole, layout, old, oldLayout, table } = shape;
    if (this.#xa) {
      const reason =
        'its rows were changed in an XA transaction, which is logged before it is decided and cannot be followed';
      this.#options.host.setAside(table, new Error(reason));
      return;
    }
    const { skipEvents } = table;
    // A row that is to stay may have children that are not
    if (skipEvents.has(event.kind) && layout.cascades === null) return;
    this.#sink.cascades.foreignKeys = event.foreignKeys;
    const decodeNew = (): Int32Array => {
      whole.decode(rows, batch.lines);
      return whole.fieldEnds;
    };
    const decodeOld = (): Int32Array => {
      old.decode(rows, batch.lines);
      return old.fieldEnds;
    };
    try {
      whole.expectFullImage(event.present, shape.map.name);
      while (!rows.done) {
        if (event.kind === 'insert') this.#sink.insert(batch, layout, decodeNew);
        else if (event.kind === 'delete') this.#sink.remove(batch, oldLayout, decodeOld, layout);
        else this.#sink.update(batch, oldLayout, decodeOld, layout, decodeNew);
      }
    } catch (error) {
      this.#options.host.setAside(table, error);
      return;
    }
    batch.sourceTimeMs = header.timestamp * 1_000;
    if (batch.changes >= this.#options.maxRows * 4 || batch.lines.length >= this.#options.maxBytes)
      this.#open.pushPart();
  }

  #partialUpdate(body: PacketReader): void {
    const shape = this.#shapes.of(body.u48());
    if (shape === null) return;
    const reason =
      'a session has set binlog_row_value_options = PARTIAL_JSON, and the log holds only what changed inside of its values';
    this.#options.host.setAside(shape.table, new Error(reason));
  }

  #begin(event: BinlogEvent): void {
    this.#inside = true;
    // MariaDB says it with the GTID, MySQL by a statement
    this.#xa = event.preparedXa ?? false;
    this.#gtid = event.gtid ?? null;
    this.#sink.transactionStart = toPosition(this.#here(), this.#options.lineage).ordinal;
  }

  #query(event: BinlogEvent): void {
    const sql = event.query!;
    const word = /^\s*(?:\/\*.*?\*\/\s*)*([a-z]+)/is.exec(sql)?.[1]?.toLowerCase() ?? '';
    if (word === 'begin') {
      if (!this.#inside) this.#begin(event);
      return;
    }
    if (word === 'commit') {
      this.#commit(event);
      return;
    }
    if (word === 'rollback' && /^\s*rollback\s*$/i.test(sql)) {
      this.#commit(event);
      return;
    }
    if (word === 'savepoint' || word === 'rollback' || word === 'release' || sql.startsWith('#')) return;
    if (!this.#inside) this.#begin(event);
    if (word === 'xa') this.#xa = /^\s*xa\s+(start|begin)\b/i.test(sql);
    this.flow.hold('statement');
    const statement: SourceStatement = {
      sql,
      schema: event.schema!,
      timestampMs: event.timestamp,
      ...this.#statementTime,
      position: `${this.#file}:${this.#offset}`,
    };
    this.#options.host.statement(this.#open.current, statement, this.#sink.transactionStart).then(
      () => {
        // A statement of its own ends its group; inside a transaction (CREATE … SELECT of MariaDB) the position is 0
        if (event.nextPosition > 0) this.#commit(event);
        this.flow.release('statement');
      },
      (error: unknown) => this.failed(error),
    );
  }

  #commit(event: BinlogEvent): void {
    this.#inside = false;
    this.#advance(event.nextPosition);
    if (this.#gtid !== null) this.#options.gtid?.add(this.#gtid);
    this.#gtid = null;
    const batch = this.#open.current;
    batch.transactions += 1;
    batch.end = toPosition(this.#here(), this.#options.lineage);
    if (batch.sourceTimeMs === 0) batch.sourceTimeMs = event.timestamp;
    const { queue, maxRows } = this.#options;
    if (batch.changes >= maxRows || queue.wanted) this.#handOver(false);
  }

  /** Headers hold 32 bits of the offset; a file can be larger when a single transaction is. */
  #advance(nextPosition: number): void {
    const wraps = Math.floor(this.#offset / 2 ** 32);
    const offset = wraps * 2 ** 32 + nextPosition;
    this.#offset = offset < this.#offset ? offset + 2 ** 32 : offset;
  }

  #here(): BinlogPosition {
    return { file: this.#file, offset: this.#offset, gtid: this.#options.gtid?.toString() ?? null };
  }

  /** Hands the open batch over at the end of a transaction. An empty one only now and then, to move the position on. */
  #handOver(idle: boolean): void {
    const batch = this.#open.current;
    const now = Date.now();
    if (batch.empty) {
      if (!idle && (batch.end === null || now - this.#handedOverAt < IDLE_POSITION_MS)) return;
      batch.end = toPosition(this.#here(), this.#options.lineage);
    }
    if (idle && !this.#options.queue.wanted) return;
    this.#handedOverAt = now;
    this.#open.push();
  }
}
