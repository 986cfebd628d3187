import { AbortedError, HypervaultError, OutcomeUnknownError } from '../errors.ts';
import { shareSignal } from '../internal/share-signal.ts';
import { throwIfAborted } from '../internal/sleep.ts';
import type { Commit } from './commit.ts';
import { valuesOf } from './commit-rows.ts';
import { conflictOf } from './conflict.ts';
import { CommitOrderingError } from './errors.ts';
import type { KvDatabase } from './kv-database.ts';
import { STATEMENTS } from './statements.ts';

/** Transactions under way at a time: one waits for the disk, the next one already stands at the lock. */
const MAX_UNDER_WAY = 2;
const MAX_BATCH = 200;
/** Of payloads, in one transaction; a longer one goes alone. */
const MAX_BATCH_BYTES = 1024 * 1024;

interface Waiting {
  readonly commit: Commit<unknown>;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (revision: string) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Saves that happen at the same time in this process go to the server together: a transaction holds the lock of its
 * namespace while it waits for the disk, so one by one they are as slow as the disk (650 saves/s on the machine of
 * bench/RESULTS.md), whoever waits. Each keeps an outcome of its own: a version that does not fit refuses that save
 * and no other. A save that comes alone goes alone and at once.
 *
 * A batch is acknowledged when it is on disk, as a single save is. Saves of one key go one after the other, in the order
 * in which they were called.
 */
export class SaveQueue {
  readonly #database: KvDatabase;
  readonly #namespace: string;
  #waiting: Waiting[] = [];
  #underWay = 0;
  readonly #keysUnderWay = new Set<string>();
  #idle: (() => void)[] = [];

  constructor(database: KvDatabase, namespace: string) {
    this.#database = database;
    this.#namespace = namespace;
  }

  /**
   * @returns the revision
   * @throws CommitOrderingError, OutcomeUnknownError, AbortedError (also when it is under way), what the server says
   */
  async save(commit: Commit<unknown>, signal: AbortSignal | undefined): Promise<string> {
    throwIfAborted(signal, 'the save');
    let onAbort: (() => void) | undefined;
    try {
      return await new Promise<string>((resolve, reject) => {
        const mine: Waiting = { commit, signal, resolve, reject };
        onAbort = () => {
          this.#waiting = this.#waiting.filter((each) => each !== mine);
          reject(new AbortedError('the save', signal?.reason));
        };
        shareSignal(signal);
        signal?.addEventListener('abort', onAbort, { once: true });
        this.#waiting.push(mine);
        this.#send();
      });
    } finally {
      if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Resolves when nothing waits and nothing is under way. */
  async idle(): Promise<void> {
    if (this.#underWay > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #send(): void {
    while (this.#underWay < MAX_UNDER_WAY && this.#waiting.length > 0) {
      const batch = this.#takeBatch();
      if (batch.length === 0) return;
      this.#underWay += 1;
      for (const { commit } of batch) this.#keysUnderWay.add(commit.key);
      void this.#saveBatch(batch).finally(() => {
        this.#underWay -= 1;
        for (const { commit } of batch) this.#keysUnderWay.delete(commit.key);
        this.#send();
        if (this.#underWay === 0) for (const resume of this.#idle.splice(0)) resume();
      });
    }
  }

  #takeBatch(): Waiting[] {
    const keys = new Set(this.#keysUnderWay);
    let bytes = 0;
    const batch: Waiting[] = [];
    const left: Waiting[] = [];
    for (const each of this.#waiting) {
      const { key, payload } = each.commit;
      const size = payload?.length ?? 0;
      const room = batch.length === 0 || (batch.length < MAX_BATCH && bytes + size <= MAX_BATCH_BYTES);
      if (room && !keys.has(key)) {
        batch.push(each);
        bytes += size;
      } else {
        left.push(each);
      }
      // What comes behind a save of the same key that had to wait must not overtake it.
      keys.add(key);
    }
    this.#waiting = left;
    return batch;
  }

  async #saveBatch(batch: readonly Waiting[]): Promise<void> {
    try {
      if (batch.length === 1) await this.#saveOne(batch[0]!);
      else await this.#saveTogether(batch);
    } catch (error) {
      if (passes(error) || batch.length === 1) for (const { reject } of batch) reject(error);
      // The server refused the transaction for the sake of one of them: it will be found.
      else for (const each of batch) await this.#saveOne(each).catch(each.reject);
    }
  }

  async #saveOne({ commit, resolve }: Waiting): Promise<void> {
    const values = [this.#namespace, ...valuesOf(commit)];
    try {
      const rows = await this.#database.query<{ revision: string }>(STATEMENTS.save, values, { writes: true });
      resolve(rows[0]!.revision);
    } catch (error) {
      throw conflictOf(error, [commit]);
    }
  }

  async #saveTogether(batch: readonly Waiting[]): Promise<void> {
    const columns = batch.map(({ commit }) => valuesOf(commit));
    const values = [this.#namespace, ...[0, 1, 2, 3, 4, 5].map((at) => columns.map((row) => row[at]))];
    const rows = await this.#database.query<{ revision: string | null; newest: number }>(STATEMENTS.saveMany, values, {
      writes: true,
    });
    for (const [at, { commit, resolve, reject }] of batch.entries()) {
      const { revision, newest } = rows[at]!;
      if (revision !== null) resolve(revision);
      else reject(new CommitOrderingError(commit.key, newest + 1, commit.version));
    }
  }
}

function passes(error: unknown): boolean {
  return error instanceof OutcomeUnknownError || (error instanceof HypervaultError && error.retryable);
}
