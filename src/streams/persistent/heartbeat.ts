import { sleep } from '../../internal/sleep.ts';
import { SubscriptionFailedError } from '../errors.ts';
import type { RunOptions } from '../shards.ts';
import type { Beat, GroupSql } from './group-sql.ts';
import type { ResolvedSettings } from './settings.ts';

/** A consumer without a slice asks for one so often, in ms. */
const WANTING_MS = 250;

export interface HeartbeatParts {
  /** The group's source, for errors. */
  readonly source: string;
  /** The consumer has no slice, and wants one. */
  readonly isWanting: () => boolean;
  /** Takes over what a beat says of slices and retries. */
  readonly onBeat: (beat: Beat) => Promise<void>;
  /** Reads the group's settings anew. */
  readonly reload: () => Promise<ResolvedSettings | undefined>;
}

/** Signs of life of one consumer in one shard, three to a lease; with them come its slices and the group's settings. */
export class Heartbeat {
  readonly #sql: GroupSql;
  readonly #parts: HeartbeatParts;
  #settings: ResolvedSettings;
  #revision: bigint;

  constructor(sql: GroupSql, parts: HeartbeatParts) {
    this.#sql = sql;
    this.#parts = parts;
    this.#settings = sql.group.settings;
    this.#revision = sql.group.revision;
  }

  get settings(): ResolvedSettings {
    return this.#settings;
  }

  /**
   * Takes over what the first beat gave, and goes on until the signal.
   *
   * @throws SubscriptionFailedError when the group is gone, or has no place left for this consumer
   */
  async run(first: Beat, options: RunOptions): Promise<void> {
    for (let beat = first; ; ) {
      await this.#parts.onBeat(beat);
      await this.#follow(beat.revision);
      const { leaseMs } = this.#settings;
      const pause = this.#parts.isWanting() ? Math.min(WANTING_MS, leaseMs / 3) : leaseMs / 3;
      await sleep(pause, { signal: options.signal });
      beat = await this.#sql.beat(leaseMs, options);
      if (beat.status === 'ok') continue;
      const context = { stream: this.#parts.source };
      throw beat.status === 'gone'
        ? new SubscriptionFailedError('the group was deleted', 'PersistentSubscriptionDeleted', context)
        : new SubscriptionFailedError('others have taken the last place', 'SubscriberMaxCountReached', context);
    }
  }

  async #follow(revision: bigint): Promise<void> {
    if (revision === this.#revision) return;
    this.#settings = (await this.#parts.reload()) ?? this.#settings;
    this.#revision = revision;
  }
}
