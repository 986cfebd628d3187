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
  readonly beforeBeat: () => void;
  /** Takes over what a beat says of slices and retries. `late`: others may have taken them meanwhile. */
  readonly onBeat: (beat: Beat, late: boolean) => Promise<void>;
  /** It is known again what is this consumer's. */
  readonly onConfirmed: () => void;
  /** Reads the group's settings anew. */
  readonly reload: () => Promise<ResolvedSettings | undefined>;
}

/** Signs of life of one consumer in one shard, three to a lease; with them come its slices and the group's settings. */
export class Heartbeat {
  readonly #sql: GroupSql;
  readonly #parts: HeartbeatParts;
  #settings: ResolvedSettings;
  #revision: bigint;
  /** The leases last until then, at the least (`performance.now()`). */
  #validUntil = 0;
  #over = false;
  readonly #waiting = new Set<() => void>();

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
   * Whether what the last beat gave is this consumer's still. When it is not known – the process was paused, the server was
   * away – nothing may be dealt out or called settled before the next beat.
   */
  get isValid(): boolean {
    return performance.now() < this.#validUntil;
  }

  /** Resolves when it is known again what is this consumer's, or when no further beat comes. */
  async confirmed(): Promise<void> {
    if (!this.isValid && !this.#over) await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  /**
   * Takes over what the first beat gave, and goes on until the signal.
   *
   * @throws SubscriptionFailedError when the group is gone, or has no place left for this consumer
   */
  async run(first: Beat, options: RunOptions): Promise<void> {
    try {
      await this.#run(first, options);
    } finally {
      this.#validUntil = 0;
      this.#over = true;
      this.#wake();
    }
  }

  async #run(first: Beat, options: RunOptions): Promise<void> {
    let late = false;
    for (let beat = first; ; ) {
      await this.#parts.onBeat(beat, late);
      // Also when it ran out while the beat was taken over, or had not begun: what came into line meanwhile waits.
      const lapsed = !this.isValid;
      this.#validUntil = beat.sentAt + this.#settings.leaseMs;
      this.#wake();
      if (late || lapsed) this.#parts.onConfirmed();
      await this.#follow(beat.revision);
      const { leaseMs } = this.#settings;
      const pause = this.#parts.isWanting() ? Math.min(WANTING_MS, leaseMs / 3) : leaseMs / 3;
      // An answer that came too late to be of use: a pause would only make the next one later.
      await sleep(this.isValid ? pause : 1, { signal: options.signal });
      this.#parts.beforeBeat();
      beat = await this.#sql.beat(leaseMs, options);
      late = !this.isValid;
      if (beat.status === 'ok') continue;
      const context = { stream: this.#parts.source };
      throw beat.status === 'gone'
        ? new SubscriptionFailedError('the group was deleted', 'PersistentSubscriptionDeleted', context)
        : new SubscriptionFailedError('others have taken the last place', 'SubscriberMaxCountReached', context);
    }
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  async #follow(revision: bigint): Promise<void> {
    if (revision === this.#revision) return;
    this.#settings = (await this.#parts.reload()) ?? this.#settings;
    this.#revision = revision;
  }
}
