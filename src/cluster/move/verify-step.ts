import type { ConnectionSettings } from '../../core/index.ts';

/** What a comparison of two copies found. */
export interface CopiesCompared {
  /** Rows looked at. */
  readonly rows: bigint;
  /** One sentence for each difference that stayed; empty when the copies are the same. */
  readonly differences: readonly string[];
}

/** Compares the two copies of a shard, while it is written to: differences that pass with the lag do not count. */
export type CompareCopies = (copies: {
  readonly shardId: number;
  readonly schema: string;
  readonly tables: readonly string[];
  readonly source: ConnectionSettings;
  readonly target: ConnectionSettings;
  readonly signal: AbortSignal | undefined;
}) => Promise<CopiesCompared>;
