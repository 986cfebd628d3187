import { AbortedError, ClosedError, HypervaultError } from '../errors.ts';
import { Backoff } from '../internal/backoff.ts';
import { linkSignals } from '../internal/link-signals.ts';
import { sleep } from '../internal/sleep.ts';
import { TypedEmitter } from '../internal/typed-emitter.ts';
import { CatchUpLimit } from './catch-up-limit.ts';
import type { Commit } from './commit.ts';
import { commitOfRow, hasCommit } from './commit-rows.ts';
import { onChange } from './on-change.ts';
import type { ResolvedKvOptions } from './options.ts';
import { type CommitRow, type PublishedRow, STATEMENTS } from './statements.ts';
import { stopController } from './stop-signal.ts';
import { WakeUp } from './wake-up.ts';

/** One key that changed. */
export interface HeadChange<V> {
  readonly key: string;
  /** What is published now; `null` when the key was removed. */
  readonly commit: Commit<V> | null;
  readonly previous: Commit<V> | null;
}

export type MirrorEvents<V> = {
  /** The map has moved on. What was saved in one transaction comes in one update. */
  update: { readonly changes: readonly HeadChange<V>[]; readonly revision: bigint };
  /** One key of an update, in the order in which they were saved. */
  change: HeadChange<V>;
  /** A row that is no commit (its key has no entry then), or a server that is away; the mirror goes on. */
  error: { readonly key: string | undefined; readonly error: unknown };
  /** It follows no longer. */
  closed: undefined;
};

export interface MirrorOptions {
  /** Only keys that begin with this text. @default '' */
  readonly prefix?: string | undefined;
  /** Gives up waiting for the first value. */
  readonly signal?: AbortSignal | undefined;
}

/** Longest pause between two tries to read from a server that is away. */
const MAX_PAUSE_MS = 500;
/**
 * All present keys of a namespace, in memory, following the database.
 *
 * 1. It never shows a part: it begins with everything, and moves from one committed state to a later one.
 * 2. A hint (NOTIFY) only says "look"; what is read is everything after the last revision seen. So whatever was missed
 *    – a cut link, a restart – is caught up with by the next look, and the look comes with the new session.
 * 3. When another server took over (its timeline differs) everything is read anew, since an asynchronous standby may
 *    have lost what was seen here.
 *
 * Made by `CommitKeeper.mirror()`.
 */
export class CommitMirror<V = Buffer> extends TypedEmitter<MirrorEvents<V>> {
  readonly #options: ResolvedKvOptions<V>;
  readonly #prefix: string;
  readonly #map = new Map<string, Commit<V>>();
  readonly #wakeUp = new WakeUp();
  readonly #catchUpLimit = new CatchUpLimit();
  readonly #stop = stopController();
  readonly #waiting = new Set<() => void>();
  #revision = 0n;
  #timeline = '';
  #task: Promise<void> | undefined;
  #unsubscribe: (() => void) | undefined;

  /** @internal */
  constructor(options: ResolvedKvOptions<V>, prefix: string) {
    super();
    this.#options = options;
    this.#prefix = prefix;
  }

  /** Every present key, now. Live: it changes under its readers, between two turns of the event loop. */
  get current(): ReadonlyMap<string, Commit<V>> {
    return this.#map;
  }

  /** The revision that `current` stands at. */
  get revision(): bigint {
    return this.#revision;
  }

  /**
   * Calls back with the map at once, and after each update. @returns ends it
   *
   * @example
   * ```ts
   * const stop = mirror.observe((settings) => applySettings(settings.get('limits')?.valueOption));
   * ```
   */
  observe(listener: (current: ReadonlyMap<string, Commit<V>>) => void): () => void {
    const onUpdate = (): void => listener(this.#map);
    this.on('update', onUpdate);
    listener(this.#map);
    return () => this.off('update', onUpdate);
  }

  /** Waits until the mirror has seen a revision, e.g. that of a commit just saved. @throws AbortedError, ClosedError */
  async reached(revision: bigint, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    using either = linkSignals([signal, this.#stop.signal]);
    while (this.#revision < revision) {
      if (this.#stop.signal.aborted) throw new ClosedError('the mirror is closed');
      if (signal?.aborted) throw new AbortedError('waiting for the mirror', signal.reason);
      await new Promise<void>((resolve) => {
        const finish = (): void => {
          this.#waiting.delete(finish);
          either.signal.removeEventListener('abort', finish);
          resolve();
        };
        this.#waiting.add(finish);
        either.signal.addEventListener('abort', finish, { once: true });
      });
    }
  }

  /** @internal Reads everything, then follows. */
  async open(signal: AbortSignal | undefined): Promise<void> {
    const { database, namespace } = this.#options;
    // LISTEN first, read second: what happens in between is heard of, and read twice at worst.
    this.#unsubscribe = onChange(database, namespace, (revision) => {
      if (revision === undefined || revision > this.#revision) this.#wakeUp.ring();
    });
    try {
      await this.#outliving(signal, isRetryable, () => this.#readAll(signal));
    } catch (error) {
      this.#unsubscribe();
      this.#stop.abort();
      throw error;
    }
    this.#task = this.#follow();
  }

  /** Stops following; the map stays as it is. Idempotent. */
  async close(): Promise<void> {
    if (this.#stop.signal.aborted) return this.#task;
    this.#stop.abort();
    this.#unsubscribe?.();
    await this.#task;
    this.emit('closed', undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop;
    const always = (): boolean => true;
    try {
      for (;;) {
        await this.#wakeUp.wait(undefined, signal);
        await this.#outliving(signal, always, () => this.#catchUp());
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #catchUp(): Promise<void> {
    const { signal } = this.#stop;
    const rows = await this.#catchUpLimit.within((limitMs) => this.#read(this.#revision, signal, limitMs));
    const { newest, timeline } = rows[0]!;
    if (timeline !== this.#timeline || BigInt(newest) < this.#revision) return this.#readAll(signal);
    const changes: HeadChange<V>[] = [];
    for (const row of rows) if (hasCommit(row)) this.#apply(row, changes);
    this.#moveTo(BigInt(newest), changes);
  }

  async #readAll(signal: AbortSignal | undefined): Promise<void> {
    const rows = await this.#read(0n, signal, undefined);
    const { newest, timeline } = rows[0]!;
    const changes: HeadChange<V>[] = [];
    const present = new Set<string>();
    for (const row of rows) {
      if (!hasCommit(row)) continue;
      present.add(row.key);
      if (this.#map.get(row.key)?.revision !== BigInt(row.revision)) this.#apply(row, changes);
    }
    for (const [key, previous] of this.#map) {
      if (!present.has(key) && this.#map.delete(key)) changes.push({ key, commit: null, previous });
    }
    this.#timeline = timeline;
    this.#moveTo(BigInt(newest), changes);
  }

  #read(after: bigint, signal: AbortSignal | undefined, limitMs: number | undefined): Promise<PublishedRow[]> {
    const { database, namespace } = this.#options;
    return database.query<PublishedRow>(STATEMENTS.published, [namespace, after, this.#prefix], { signal, limitMs });
  }

  #apply(row: CommitRow, changes: HeadChange<V>[]): void {
    const { key } = row;
    const previous = this.#map.get(key) ?? null;
    const commit = row.payload === null ? null : this.#commitOf(row);
    if (commit === null) this.#map.delete(key);
    else this.#map.set(key, commit);
    if (commit !== null || previous !== null) changes.push({ key, commit, previous });
  }

  /** A row that somebody else wrote and that is no commit must not stop the others. */
  #commitOf(row: CommitRow): Commit<V> | null {
    try {
      return commitOfRow(row, this.#options.codec);
    } catch (error) {
      const start = row.payload?.subarray(0, 1024).toString();
      this.#options.logger?.warn({ error, key: row.key, payload: start }, 'kv: a published row is no commit');
      this.emit('error', { key: row.key, error });
      return null;
    }
  }

  #moveTo(revision: bigint, changes: readonly HeadChange<V>[]): void {
    this.#revision = revision;
    for (const change of changes) this.emit('change', change);
    if (changes.length > 0) this.emit('update', { changes, revision });
    for (const resume of [...this.#waiting]) resume();
  }

  /** Goes on through failures that pass; says so once. */
  async #outliving(
    signal: AbortSignal | undefined,
    passes: (error: unknown) => boolean,
    read: () => Promise<void>,
  ): Promise<void> {
    const backoff = new Backoff({ baseMs: 25, maxMs: MAX_PAUSE_MS });
    for (;;) {
      try {
        return await read();
      } catch (error) {
        if (signal?.aborted || !passes(error)) throw error;
        if (backoff.failures === 0) this.emit('error', { key: undefined, error });
        await sleep(backoff.next(), { signal, what: 'following the database' });
      }
    }
  }
}

function isRetryable(error: unknown): boolean {
  return error instanceof HypervaultError && error.retryable;
}
