import type { SourceTable } from '../model/source-table.ts';
import type { TargetTable } from '../model/target-table.ts';
import type { Router } from '../route/router.ts';

/**
 * A table while its changes are followed: as it stood at the place of the log that was read last.
 * A statement that changes its structure makes a new one with the next version.
 */
export interface FollowedTable {
  readonly id: number;
  /** Counts the structures this table has had. */
  readonly version: number;
  readonly source: SourceTable;
  readonly target: TargetTable;
  readonly router: Router;
  /** Changes up to here are in the copy already. */
  readonly copiedAt: CopiedAt;
  /** Kinds of changes that the configuration leaves out (`skip_events`). */
  readonly skipEvents: ReadonlySet<'insert' | 'update' | 'delete'>;
}

/**
 * The place of the log that the copied rows show. Usually one for the whole table; after a copy that was
 * interrupted and resumed, one for each range of the chunk column's values.
 */
export interface CopiedAt {
  /** Changes before this ordinal are in the copied rows (in those below the first range, when there are ranges). */
  readonly all: bigint;
  /** Ranges by their lower bounds, ascending; empty for most tables. */
  readonly ranges: readonly { readonly from: bigint; readonly ordinal: bigint }[];
  /** The column whose values the ranges are of. */
  readonly column: string | null;
}
