import { ClosedError, ConfigurationError, HypervaultError } from '../errors.ts';
import { assertKnownKeys } from '../internal/known-keys.ts';
import { linkSignals } from '../internal/link-signals.ts';
import { sleep } from '../internal/sleep.ts';
import { LeaderLease } from '../listen/index.ts';
import type { Commit } from './commit.ts';
import { ConcurrentCommitError } from './errors.ts';
import type { CommitKeeper } from './keeper.ts';
import type { CommitStorage } from './storage.ts';

export interface AutoPublisherOptions<V> {
  /** Pause between two passes. @default 90000 */
  readonly periodMs?: number | undefined;
  /** How much the pauses vary: their standard deviation as a share of the period. @default 0.2 */
  readonly periodFuzz?: number | undefined;
  /** Waits for a random part of a period before the first pass. @default true */
  readonly delay?: boolean | undefined;
  /** Told of each commit that could not be published, and of each pass that failed as a whole. @default nothing */
  readonly onError?: ((error: unknown, commit: Commit<V> | undefined) => void) | undefined;
  /** Called after each pass, by the active one: the place for chores that one process should do. */
  readonly onPass?: ((signal: AbortSignal) => Promise<void>) | undefined;
  /** How long a leader that fell silent is waited for. @default 15000 */
  readonly leaseTtlMs?: number | undefined;
}

const KEYS = [
  'periodMs',
  'periodFuzz',
  'delay',
  'onError',
  'onPass',
  'leaseTtlMs',
] as const satisfies readonly (keyof AutoPublisherOptions<unknown>)[];

/**
 * Now and then saves every head of a storage into a keeper, so that whatever was not published – a process that died
 * in between, rows changed by hand – is in the end, and signals all mirrors to look again. Of all publishers of one
 * table, in all processes, one is active at a time.
 *
 * ```
 *   competing ── elected ──> waiting ──> passing ──> waiting …
 *       ^                        │           │
 *       └────── deposed, or a pass failed ───┘
 * ```
 *
 * A commit that can't be published does not keep the others from it.
 */
export class AutoPublisher<V = Buffer> {
  readonly #storage: CommitStorage<V>;
  readonly #keeper: CommitKeeper<V>;
  readonly #options: { periodMs: number; periodFuzz: number; delay: boolean; leaseTtlMs: number };
  readonly #onPass: ((signal: AbortSignal) => Promise<void>) | undefined;
  readonly #onError: (error: unknown, commit: Commit<V> | undefined) => void;
  #stop = new AbortController();
  #task: Promise<void> | undefined;
  #leading = false;
  #passes = 0;

  /** @throws ConfigurationError; does no I/O */
  constructor(storage: CommitStorage<V>, keeper: CommitKeeper<V>, options: AutoPublisherOptions<V> = {}) {
    assertKnownKeys(options, KEYS, 'autoPublisher options');
    const { periodMs = 90_000, periodFuzz = 0.2, delay = true, onError, leaseTtlMs = 15_000 } = options;
    if (!(periodMs > 0 && periodMs < 2 ** 31)) throw new ConfigurationError('autoPublisher: periodMs must be positive');
    if (!(periodFuzz >= 0)) throw new ConfigurationError('autoPublisher: periodFuzz must not be negative');
    this.#storage = storage;
    this.#keeper = keeper;
    this.#options = { periodMs, periodFuzz, delay, leaseTtlMs };
    this.#onError = onError ?? (() => {});
    this.#onPass = options.onPass;
  }

  /** Whether this is the active one. */
  get leading(): boolean {
    return this.#leading;
  }

  /** Passes completed by this one. */
  get passes(): number {
    return this.#passes;
  }

  /** Begins to compete. */
  start(): void {
    if (this.#stop.signal.aborted) throw new ClosedError('the auto-publisher is closed');
    this.#task ??= this.#run();
  }

  /** Gives leadership up, after the commit in hand. Idempotent. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#task;
  }

  /** The same as {@link close}. */
  stop(): Promise<void> {
    return this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #run(): Promise<void> {
    const { database, table } = this.#keeper;
    while (!this.#stop.signal.aborted) {
      const lease = new LeaderLease(database.endpoint, {
        name: `hypervault_kv_publisher:${table}`,
        ttlMs: this.#options.leaseTtlMs,
        hub: database.hub,
      });
      lease.on('error', (error) => this.#onError(error, undefined));
      try {
        await this.#lead(lease);
      } catch (error) {
        if (!this.#stop.signal.aborted) this.#onError(error, undefined);
      } finally {
        this.#leading = false;
        await lease.close();
      }
      // Another one gets the chance to do better.
      await sleep(Math.min(1_000, this.#options.periodMs), { signal: this.#stop.signal }).catch(() => {});
    }
  }

  async #lead(lease: LeaderLease): Promise<void> {
    const term = new AbortController();
    using either = linkSignals([term.signal, this.#stop.signal]);
    const { signal } = either;
    lease.on('deposed', ({ reason }) => term.abort(new Error(reason)));
    await elected(lease, this.#stop.signal);
    this.#leading = true;
    const { periodMs, periodFuzz, delay } = this.#options;
    try {
      if (delay) await sleep(Math.random() * periodMs, { signal });
      for (;;) {
        await this.#pass(signal);
        this.#passes += 1;
        await this.#onPass?.(signal);
        await sleep(periodMs * Math.max(0, 1 + periodFuzz * gaussian()), { signal });
      }
    } catch (error) {
      if (!term.signal.aborted) throw error;
    }
  }

  async #pass(signal: AbortSignal): Promise<void> {
    const [heads, published] = [await this.#storage.heads({ signal }), await this.#keeper.heads({ signal })];
    for (const [key, commit] of heads) {
      const present = published.get(key);
      if (commit.isEmpty ? present === undefined : present?.equals(commit)) continue;
      try {
        await this.#publish(commit, signal);
      } catch (error) {
        // A server that is away fails the pass; a commit that does not fit is its own matter.
        if (signal.aborted || (error instanceof HypervaultError && error.retryable)) throw error;
        this.#onError(error, commit);
      }
    }
    await this.#keeper.signalAll({ signal });
  }

  /** The heads were read some time ago: what is published is what the key has now, and never one that was removed since. */
  async #publish({ key }: Commit<V>, signal: AbortSignal): Promise<void> {
    const head = await this.#storage.get(key, undefined, { signal });
    if (head === null) return;
    try {
      await this.#keeper.save(head, { signal });
    } catch (error) {
      if (!(error instanceof ConcurrentCommitError)) throw error;
      // Somebody has just saved, and published, a newer one.
      const now = await this.#storage.get(key, undefined, { signal });
      if (now === null || now.version <= head.version) throw error;
    }
  }
}

function elected(lease: LeaderLease, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    lease.once('elected', () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    lease.start();
  });
}

/** Normally distributed around 0 with deviation 1 (Box and Muller). */
function gaussian(): number {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}
