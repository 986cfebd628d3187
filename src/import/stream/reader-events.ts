import type { StatementEntry } from '../catalogue/error-rows.ts';
import type { Batch } from './batch.ts';
import type { FollowedTable } from './followed-table.ts';

/** What a reading worker reports besides batches. */
export interface ReaderEvents {
  /** A table that cannot be followed any further. */
  setAside(table: FollowedTable, reason: string, details: { readonly sql?: string; readonly position?: string }): void;
  /** A statement of the source that is no row change, and what was made of it. */
  statement(entry: StatementEntry): void;
  /** Something about the source that a person should hear of. */
  warn?(message: string): void;
  /** The source has nothing more for now: the reader is at the end of its log. */
  caughtUp(): void;
  /** A batch that ends with a whole transaction goes to the applier. */
  handedOver(batch: Batch): void;
}
