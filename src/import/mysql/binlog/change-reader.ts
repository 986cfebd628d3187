import { FlowGate } from '../../stream/flow-gate.ts';
import { OpenBatch } from '../../stream/open-batch.ts';
import type { PreparedChange } from '../../stream/prepared-transactions.ts';
import type { RowSink } from '../../stream/row-sink.ts';
import {
  type HeldTransaction,
  heldBody,
  restoreHeld,
  storeHeld,
  TransactionToHold,
  unfollowable,
} from './held-transaction.ts';
import type { PacketReader } from './packet-reader.ts';
import { type BinlogPosition, toPosition } from './position.ts';
import type { ChangeReaderOptions, SourceStatement } from './reader-options.ts';
import { RowEvents } from './row-events.ts';
import type { StatementTime } from './statement-time.ts';
import type { EventHeader, TransportHandler } from './transport.ts';
import { parseXaStatement, preparedXid, type XaStatement } from './xid.ts';
import type { BinlogEvent } from './zongji-types.ts';

/** How MySQL logs CREATE … SELECT; inside a transaction of MariaDB the position of the next event is 0. */
const OPENS_TRANSACTION = /\bstart\s+transaction\s*$/i;

/** How long an idle replica may leave its stored position behind. */
const IDLE_POSITION_MS = 1_000;

/**
 * Turns binlog events into batches of whole transactions.
 *
 * ```
 *            gtid / BEGIN            xid / COMMIT / a statement of its own / XA PREPARE
 *   between ─────────────▶ inside ──────────────────────────────────────────▶ between
 * ```
 *
 * The place of the log that is ever stored is the end of a group of events, so reading can always begin there again.
 */
export class ChangeReader implements TransportHandler {
  readonly #options: ChangeReaderOptions;
  readonly #events: RowEvents;
  readonly #sink: RowSink;
  readonly #open: OpenBatch;
  #file: string;
  #offset: number;
  #inside = false;
  /** In an XA transaction, whose rows are logged at its PREPARE: whether they stay is said later. */
  #toHold: TransactionToHold | null = null;
  #gtid: string | null = null;
  #handedOverAt = 0;
  #statementTime: StatementTime = { microseconds: 0, timeZone: null };
  readonly flow = new FlowGate();

  constructor(options: ChangeReaderOptions) {
    this.#options = options;
    this.#sink = options.sink;
    this.#events = new RowEvents(options);
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
    if (this.#toHold === null) this.#rows(type, body, header);
    else this.#toHold.take(type, body, header);
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
      case 'XaPrepare':
        this.#prepare(event);
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

  #rows(type: number, body: PacketReader, header: Pick<EventHeader, 'timestamp'>): void {
    const { current: batch } = this.#open;
    this.#events.take(batch, type, body, header);
    const { maxRows, maxBytes } = this.#options;
    if (batch.changes >= maxRows * 4 || batch.lines.length >= maxBytes) this.#open.pushPart();
  }

  #begin(event: BinlogEvent): void {
    this.#inside = true;
    // MariaDB says it with the GTID, MySQL by a statement
    this.#toHold = event.preparedXa ? new TransactionToHold(this.#options.host) : null;
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
    const xa = word === 'xa' ? parseXaStatement(sql) : null;
    if (xa !== null) {
      this.#xaStatement(xa, event);
      return;
    }
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
        // A statement of its own ends its group. CREATE … SELECT does not: its rows follow
        if (event.nextPosition > 0 && !OPENS_TRANSACTION.test(sql)) this.#commit(event);
        this.flow.release('statement');
      },
      (error: unknown) => this.failed(error),
    );
  }

  #xaStatement({ verb, xid }: XaStatement, event: BinlogEvent): void {
    if (verb === 'start') this.#toHold = new TransactionToHold(this.#options.host);
    if (verb !== 'commit' && verb !== 'rollback') return;
    const held = this.#options.prepared.find(xid);
    if (held !== null) {
      if (verb === 'commit') this.#release(restoreHeld(held));
      this.#notePrepared({ xid, held: null });
    } else if (verb === 'commit') this.#unknownCommit(xid);
    this.#commit(event);
  }

  /** The end of an XA transaction's rows. */
  #prepare(event: BinlogEvent): void {
    const held = this.#toHold?.hold();
    this.#toHold = null;
    if (held !== undefined && event.onePhase === true) this.#release(held);
    else if (held !== undefined) this.#notePrepared({ xid: preparedXid(event), held: storeHeld(held) });
    this.#commit(event);
  }

  #notePrepared(change: PreparedChange): void {
    this.#options.prepared.apply(change);
    this.#open.current.prepared.push(change);
  }

  /** What was held happens now: locks kept it apart from everything between, and snapshots did not see it. */
  #release(held: HeldTransaction): void {
    const { host } = this.#options;
    for (const [table, reason] of unfollowable(held, host.tables())) {
      if (this.#sink.transactionStart >= table.copiedAt.all) host.setAside(table, new Error(reason));
    }
    for (const event of held.events ?? []) this.#rows(event.type, heldBody(event), event);
  }

  /** It was prepared before the place where reading ever began. Copies that are newer show what it did. */
  #unknownCommit(xid: string): void {
    const { host } = this.#options;
    const reason = `the XA transaction ${xid} was prepared before the rows were copied and committed after it; what it changed is not known`;
    for (const table of [...host.tables()]) {
      if (this.#sink.transactionStart >= table.copiedAt.all) host.setAside(table, new Error(reason));
    }
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
