import type { Batch } from '../../stream/batch.ts';
import type { BatchQueue } from '../../stream/batch-queue.ts';
import type { FollowedTable } from '../../stream/followed-table.ts';
import type { CascadeReach } from '../../stream/pending-cascades.ts';
import type { PreparedTransactions } from '../../stream/prepared-transactions.ts';
import type { RowSink } from '../../stream/row-sink.ts';
import type { Charsets } from '../charsets.ts';
import type { GtidProgress } from './gtid-progress.ts';
import type { BinlogPosition } from './position.ts';

/** What the reader needs to know of tables and statements. */
export interface ChangeReaderHost {
  /** The followed table of that name as it stands now, or `null`. */
  find(schema: string, name: string): FollowedTable | null;
  /** All tables that are followed now. */
  tables(): Iterable<FollowedTable>;
  /** Whether changes of that table are wanted, followed already or not. */
  wants(schema: string, name: string): boolean;
  /** What foreign keys do to rows without a word in the log; `null` when the source logs it. */
  cascades(): CascadeReach | null;
  /** A table whose rows cannot be read any more. */
  setAside(table: FollowedTable, reason: unknown): void;
  /** A statement that is not row changes: DDL mostly. May put rounds into the batch; nothing is read meanwhile. */
  statement(batch: Batch, statement: SourceStatement, transactionStart: bigint): Promise<void>;
  /** The source has nothing more for now. */
  heard(): void;
  /** A batch that ends with a whole transaction goes to the applier. */
  handedOver(batch: Batch): void;
  /** The stream ended with an error. */
  failed(error: unknown): void;
}

export interface SourceStatement {
  readonly sql: string;
  /** The default database of the session that ran it. */
  readonly schema: string;
  readonly timestampMs: number;
  /** Of the second in `timestampMs`. */
  readonly microseconds: number;
  readonly timeZone: string | null;
  readonly position: string;
}

export interface ChangeReaderOptions {
  readonly charsets: Charsets;
  readonly mariadb: boolean;
  readonly start: BinlogPosition;
  /** The ordinal of that place, which may be one of another server's log. */
  readonly from: bigint;
  readonly lineage: bigint;
  readonly gtid: GtidProgress | null;
  readonly queue: BatchQueue;
  readonly sink: RowSink;
  /** The XA transactions that are prepared at the start. */
  readonly prepared: PreparedTransactions;
  readonly host: ChangeReaderHost;
  /** Hand a batch over at the latest when it holds this many row changes. */
  readonly maxRows: number;
  readonly maxBytes: number;
}
