import { BadRequestError, StreamDeletedError, StreamNotFoundError, WrongExpectedVersionError } from './errors.ts';
import { type ExpectedVersion, expectedCode, expectedOfCode } from './expected-version.ts';
import type { LiveShards } from './live-shards.ts';
import { checkNumber } from './reader.ts';
import type { Shards } from './shards.ts';

/** What is kept of a stream. `null` lifts a bound, what is not given stays as it is. */
export interface RetentionSettings {
  /** Hides events below this number, for good. */
  readonly truncateBefore?: bigint | undefined;
  /** Hides all but so many of the last events. */
  readonly maxCount?: number | null | undefined;
  /** Hides events that are older. */
  readonly maxAgeMs?: number | null | undefined;
}

export interface DeleteStreamOptions {
  /** @default 'any' */
  readonly expectedVersion?: ExpectedVersion | undefined;
  /** For good: the name can't be used again. @default false */
  readonly hard?: boolean | undefined;
  readonly correlationId?: string | undefined;
}

export interface ScavengeOptions {
  /** Events removed in one transaction. @default 5000 */
  readonly batchSize?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((removed: number) => void) | undefined;
}

/** Hides events, and removes what is hidden. */
export class Retention {
  readonly #shards: Shards;
  readonly #live: LiveShards;

  constructor(shards: Shards, live: LiveShards) {
    this.#shards = shards;
    this.#live = live;
  }

  async deleteStream(shardId: number, stream: string, options: DeleteStreamOptions): Promise<void> {
    const { expectedVersion, hard = false, correlationId } = options;
    const expected = expectedCode(expectedVersion);
    const rows = await this.#shards.query('append', shardId, {
      text: `select outcome, actual from ${this.#shards.schema(shardId)}.hv_delete_stream($1, $2, $3)`,
      values: [stream, expected, hard],
    });
    const [outcome, actual] = rows[0]!;
    if (outcome === 'no_stream') throw new StreamNotFoundError(stream, { correlationId });
    if (outcome === 'gone') throw new StreamDeletedError(stream, true, { correlationId });
    if (outcome === 'wrong_version') {
      throw new WrongExpectedVersionError(stream, expectedOfCode(expected), BigInt(actual!), { correlationId });
    }
  }

  async set(shardId: number, stream: string, settings: RetentionSettings): Promise<void> {
    const { truncateBefore, maxCount, maxAgeMs } = settings;
    if (truncateBefore !== undefined) checkNumber('truncateBefore', truncateBefore);
    const rows = await this.#shards.query('append', shardId, {
      text: `select ${this.#shards.schema(shardId)}.hv_set_retention($1, $2, $3, $4)`,
      values: [stream, truncateBefore ?? null, bound('maxCount', maxCount), bound('maxAgeMs', maxAgeMs)],
    });
    if (rows[0]![0] === 'gone') throw new StreamDeletedError(stream, true);
  }

  /** Removes hidden events of every shard, in small transactions; appends and reads go on beside it. */
  async scavenge({ batchSize = 5_000, signal, onProgress }: ScavengeOptions): Promise<number> {
    let removed = 0;
    for (const shardId of this.#shards.ids) {
      // What has no position yet would be left.
      await this.#live.sequencer(shardId).pass({ signal });
      for (let after: string | null = '0'; after !== null; ) {
        const statement = {
          text: `select removed, stopped_at from ${this.#shards.schema(shardId)}.hv_scavenge($1, $2)`,
          values: [after, batchSize],
        };
        const [row] = await this.#shards.query('group', shardId, statement, { signal });
        removed += Number(row![0]);
        after = row![1] ?? null;
        onProgress?.(removed);
      }
    }
    return removed;
  }
}

/** As the function takes it: null leaves as it is, -1 lifts the bound. */
function bound(name: string, value: number | null | undefined): number | null {
  if (value === undefined) return null;
  if (value === null) return -1;
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new BadRequestError(`${name} must be a whole number above 0, or null for no bound, not ${String(value)}`);
}
