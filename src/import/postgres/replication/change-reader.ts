import type { Batch } from '../../stream/batch.ts';
import type { BatchQueue } from '../../stream/batch-queue.ts';
import { FlowGate } from '../../stream/flow-gate.ts';
import type { FollowedTable } from '../../stream/followed-table.ts';
import { OpenBatch } from '../../stream/open-batch.ts';
import type { RowSink } from '../../stream/row-sink.ts';
import { lsnPosition } from '../lsn.ts';
import {
  MESSAGE,
  MessageReader,
  type Relation,
  readBegin,
  readCommit,
  readImages,
  readOrigin,
  readRelation,
  readTruncate,
} from './pgoutput.ts';
import { TableShape } from './table-shape.ts';
import type { WalHandler } from './wal-stream.ts';

/** What the reader needs to know of tables. */
export interface ChangeReaderHost {
  /** The followed table that a relation message speaks of, as the source has it now; puts changes of structure into the batch. */
  relation(
    batch: Batch,
    relation: Relation,
    transactionStart: bigint,
  ): FollowedTable | null | Promise<FollowedTable | null>;
  truncate(batch: Batch, tables: readonly FollowedTable[], transactionStart: bigint): void;
  setAside(table: FollowedTable, reason: unknown): void;
  /** Everything before this place was read. */
  heard(place: bigint): void;
  handedOver(batch: Batch): void;
  failed(error: unknown): void;
}

export interface ChangeReaderOptions {
  readonly start: bigint;
  readonly queue: BatchQueue;
  readonly sink: RowSink;
  readonly host: ChangeReaderHost;
  /** Hand a batch over at the latest when it holds this many row changes. */
  readonly maxRows: number;
  readonly maxBytes: number;
  /** Whether changes that came from this replication origin are ours, and are left out. */
  readonly isOwnOrigin: (name: string) => boolean;
}

/** How long an idle replica may leave its stored position behind. */
const IDLE_POSITION_MS = 1_000;

/**
 * Turns pgoutput's messages into batches of whole transactions.
 *
 * ```
 *            begin [origin]                 commit
 *   between ───────────────▶ inside ─────────────────▶ between
 * ```
 *
 * The place that is ever stored is the end of a commit record, or one up to which an idle source says that there is
 * nothing: reading can always begin there again.
 */
export class ChangeReader implements WalHandler {
  readonly flow = new FlowGate();
  readonly #options: ChangeReaderOptions;
  readonly #message = new MessageReader();
  /** By the table's number; `null` for one that is not followed. */
  readonly #shapes = new Map<number, TableShape | null>();
  readonly #open: OpenBatch;
  #place: bigint;
  #inside = false;
  #isOwn = false;
  #handedOverAt = 0;

  constructor(options: ChangeReaderOptions) {
    this.#options = options;
    this.#place = options.start;
    const { queue, host, start: from } = options;
    this.#open = new OpenBatch({ from, queue, flow: this.flow, handedOver: (batch) => host.handedOver(batch) });
    options.queue.onWanted = () => {
      if (!this.#inside) this.#handOver(false);
    };
  }

  message(bytes: Buffer, at: number): Promise<void> | undefined {
    const message = this.#message;
    message.reset(bytes, at);
    switch (message.byte()) {
      case MESSAGE.insert:
      case MESSAGE.update:
      case MESSAGE.delete:
        this.#row(bytes[at]!);
        return;
      case MESSAGE.begin:
        this.#begin();
        return;
      case MESSAGE.commit:
        this.#commit();
        return;
      case MESSAGE.origin:
        this.#isOwn = this.#options.isOwnOrigin(readOrigin(message));
        return;
      case MESSAGE.relation:
        return this.#relation(readRelation(message));
      case MESSAGE.truncate:
        this.#truncate(readTruncate(message));
    }
    return;
  }

  alive(end: bigint): void {
    if (!this.#inside) {
      if (end > this.#place) this.#place = end;
      this.#options.host.heard(this.#place);
      this.#handOver(true);
    }
  }

  failed(error: unknown): void {
    this.#options.host.failed(error);
  }

  /** Rows of this table are read over from now on. */
  forget(table: FollowedTable): void {
    for (const [oid, shape] of this.#shapes) if (shape?.table.id === table.id) this.#shapes.set(oid, null);
  }

  #begin(): void {
    const { commit, timeMs } = readBegin(this.#message);
    this.#inside = true;
    this.#isOwn = false;
    this.#options.sink.transactionStart = commit;
    this.#open.current.sourceTimeMs = timeMs;
  }

  #relation(relation: Relation): Promise<void> | undefined {
    const take = (table: FollowedTable | null): void => {
      this.#shapes.set(relation.oid, null);
      if (table === null) return;
      try {
        this.#shapes.set(relation.oid, new TableShape(relation, table));
      } catch (error) {
        this.#options.host.setAside(table, error);
      }
    };
    const { host, sink } = this.#options;
    const found = host.relation(this.#open.current, relation, sink.transactionStart);
    if (!(found instanceof Promise)) {
      take(found);
      return undefined;
    }
    return found.then(take);
  }

  #row(kind: number): void {
    const message = this.#message;
    const shape = this.#shapes.get(message.uint32());
    if (shape === undefined || shape === null || this.#isOwn) return;
    const batch = this.#open.current;
    const { sink, host, maxRows, maxBytes } = this.#options;
    const { table, layout, oldLayout, images } = shape;
    const { skipEvents } = table;
    const writeNew = (): Int32Array => shape.writeNew(batch.lines);
    const writeOld = (): Int32Array => shape.writeOld(batch.lines);
    try {
      readImages(message, images);
      if (kind === MESSAGE.insert) {
        if (!skipEvents.has('insert')) sink.insert(batch, layout, writeNew);
      } else if (kind === MESSAGE.delete) {
        if (!skipEvents.has('delete')) sink.remove(batch, oldLayout, writeOld, layout);
      } else if (!skipEvents.has('update')) sink.update(batch, oldLayout, writeOld, layout, writeNew);
    } catch (error) {
      batch.lines.hasUnchanged = false;
      this.forget(table);
      host.setAside(table, error);
      return;
    }
    if (batch.changes >= maxRows * 4 || batch.lines.length >= maxBytes) this.#open.pushPart();
  }

  #truncate(oids: readonly number[]): void {
    if (this.#isOwn) return;
    const tables = oids.flatMap((oid) => this.#shapes.get(oid)?.table ?? []);
    this.#options.host.truncate(this.#open.current, tables, this.#options.sink.transactionStart);
  }

  #commit(): void {
    const { end } = readCommit(this.#message);
    this.#inside = false;
    this.#place = end;
    const batch = this.#open.current;
    batch.transactions += 1;
    batch.end = lsnPosition(end);
    const { queue, maxRows } = this.#options;
    if (batch.changes >= maxRows || queue.wanted) this.#handOver(false);
  }

  /** Hands the open batch over at the end of a transaction. An empty one only now and then, to move the position on. */
  #handOver(idle: boolean): void {
    const batch = this.#open.current;
    const now = Date.now();
    if (batch.empty) {
      if (now - this.#handedOverAt < IDLE_POSITION_MS || this.#place <= batch.from) return;
      batch.end = lsnPosition(this.#place);
    }
    if (idle && !this.#options.queue.wanted) return;
    this.#handedOverAt = now;
    this.#open.push();
  }
}
