import type { Datastore, Entity, Key } from '../../core/index.ts';
import { ConfigurationError, HypervaultError, InvalidArgumentError, OutcomeUnknownError } from '../../errors.ts';
import { assertKnownKeys } from '../../internal/known-keys.ts';
import { throwIfAborted } from '../../internal/sleep.ts';
import { isConnectionLoss, sqlStateOf } from '../../internal/sqlstate.ts';
import { LookupTakenError } from '../errors.ts';
import { type LookupRow, LookupRows } from './lookup-rows.ts';

/** What a lookup makes unique. */
export interface UniqueLookupOptions<Row> {
  /** Of the lookup, the same for ever, e.g. `'user.email'`. */
  readonly name: string;
  /** The value a row has, or `null` for none: what a lookup says is never believed without asking the row. */
  readonly valueIn: (row: Row) => string | null | undefined;
  /** Reads a row by its key. @default the entity, `db.get` */
  readonly read?: ((key: Key) => Promise<Row | null>) | undefined;
  /** Values that are the same for the lookup, e.g. in lower case. @default as they are */
  readonly normalize?: ((value: string) => string) | undefined;
  /**
   * How long a value without its row is left to whoever is about to write the row. A writer that is not done in half of
   * it gives up. @default 60000
   */
  readonly graceMs?: number | undefined;
}

const KEYS = ['name', 'valueIn', 'read', 'normalize', 'graceMs'];

/** What a repair did. */
export interface LookupRepair {
  readonly looked: number;
  /** Orphans that were taken away. */
  readonly removed: number;
}

/**
 * Makes a value unique over all shards and finds rows by it, e.g. an e-mail address. A row of the lookup is in a shard
 * chosen by the hash of the value, the row itself wherever it belongs; nothing is atomic over the two, and needs not be:
 *
 * 1. The lookup is written first and removed last. So a row without its lookup never is, a lookup without its row – an
 *    orphan – may be: after a crash in between.
 * 2. A lookup is believed only when the row it points to has the value.
 * 3. An orphan younger than `graceMs` belongs to a writer that may still be at it; an older one is anybody's.
 *
 * @example
 * ```ts
 * const emails = uniqueLookup(db, { name: 'user.email', valueIn: (user) => user.body.email, normalize: (text) => text.toLowerCase() });
 * await emails.insert('ada@example.org', shardId, (key) => db.put(shardId, USER, { email: 'ada@example.org' }, { key }));
 * const user = await emails.find('Ada@example.org');
 * ```
 */
export class UniqueLookup<Row> {
  readonly #db: Datastore;
  readonly #rows: LookupRows;
  readonly #options: Required<{
    [Name in keyof UniqueLookupOptions<Row>]: NonNullable<UniqueLookupOptions<Row>[Name]>;
  }>;

  /** @internal use {@link uniqueLookup} */
  constructor(db: Datastore, options: UniqueLookupOptions<Row>) {
    this.#db = db;
    this.#rows = new LookupRows(db, options.name);
    const {
      read = (key) => db.get(key) as Promise<Row | null>,
      normalize = (value) => value,
      graceMs = 60_000,
    } = options;
    this.#options = { ...options, read, normalize, graceMs };
  }

  /** The row that has the value, or `null`. */
  async find(value: string): Promise<Row | null> {
    const wanted = this.#normal(value);
    const found = await this.#rows.read(wanted);
    return found === undefined ? null : this.#rowOf(found);
  }

  /**
   * Writes a new row with a value that no other has.
   *
   * @param write - writes the row under the key it is given; best so that it may be repeated, as `db.put` with a key
   * @throws LookupTakenError when another row has the value, or is about to; what `write` throws
   */
  async insert<T>(value: string, shardId: number, write: (key: Key) => Promise<T>): Promise<T> {
    const wanted = this.#normal(value);
    const [key] = await this.#db.reserveKeys(shardId, 1);
    return this.#holding(wanted, key!, () => write(key!));
  }

  /** Gives a row another value: `write` changes the row. @throws LookupTakenError; what `write` throws */
  async change<T>(key: Key, from: string, to: string, write: () => Promise<T>): Promise<T> {
    const [old, wanted] = [this.#normal(from), this.#normal(to)];
    if (old === wanted) return write();
    const result = await this.#holding(wanted, key, write);
    await this.#rows.release(old, key);
    return result;
  }

  /** Removes a row and then gives its value up: `remove` removes the row. */
  async remove<T>(key: Key, value: string, remove: () => Promise<T>): Promise<T> {
    const held = this.#normal(value);
    const result = await remove();
    await this.#rows.release(held, key);
    return result;
  }

  /** Takes away orphans older than `graceMs`: values whose row is gone, or has another value by now. */
  async repair({
    shards = this.#db.map.shards,
    signal,
  }: {
    shards?: readonly number[] | undefined;
    signal?: AbortSignal | undefined;
  } = {}): Promise<LookupRepair> {
    let [looked, removed] = [0, 0];
    for (const shardId of shards) {
      for await (const found of this.#rows.in(shardId)) {
        throwIfAborted(signal, 'repairing a lookup');
        looked += 1;
        if (found.ageMs < this.#options.graceMs || (await this.#rowOf(found)) !== null) continue;
        if (await this.#rows.release(found.value, found.key)) removed += 1;
      }
    }
    return { looked, removed };
  }

  /** Holds the value for the key, then writes; gives the value back when the write certainly did not happen. */
  async #holding<T>(value: string, key: Key, write: () => Promise<T>): Promise<T> {
    const { name, graceMs } = this.#options;
    const started = performance.now();
    await this.#claim(value, key);
    if (performance.now() - started > graceMs / 2) {
      await this.#rows.release(value, key);
      throw new HypervaultError('LOOKUP_SLOW', `${name}: it took more than half of graceMs to claim the value`, {
        retryable: true,
      });
    }
    try {
      return await write();
    } catch (error) {
      if (isCertain(error)) await this.#rows.release(value, key).catch(() => {});
      throw error;
    }
  }

  async #claim(value: string, key: Key): Promise<void> {
    for (;;) {
      const holder = await this.#rows.claim(value, key);
      if (holder.key.id === key.id) return;
      const { name, graceMs } = this.#options;
      if (holder.ageMs < graceMs || (await this.#rowOf(holder)) !== null) {
        throw new LookupTakenError(name, value, holder.key);
      }
      if (await this.#rows.takeOver(value, holder.key, key)) return;
    }
  }

  /** The row a lookup points to, when it has the value. */
  async #rowOf({ value, key }: LookupRow): Promise<Row | null> {
    const row = await this.#options.read(key);
    if (row === null) return null;
    const has = this.#options.valueIn(row);
    return has != null && this.#normal(has) === value ? row : null;
  }

  #normal(value: string): string {
    if (typeof value !== 'string' || value === '') {
      throw new InvalidArgumentError(`${this.#options.name}: a value is a text that is not empty`);
    }
    return this.#options.normalize(value);
  }
}

/**
 * Makes a unique lookup; the module `cluster` must be installed in the shards.
 * @throws ConfigurationError
 */
export function uniqueLookup<Row = Entity>(db: Datastore, options: UniqueLookupOptions<Row>): UniqueLookup<Row> {
  assertKnownKeys(options, KEYS, 'uniqueLookup');
  const { name, valueIn, graceMs = 1 } = options;
  if (typeof name !== 'string' || !/^[\w.-]{1,63}$/.test(name)) {
    throw new ConfigurationError('uniqueLookup: name must be 1 to 63 letters, digits, dots, _ or -, e.g. user.email');
  }
  if (typeof valueIn !== 'function') throw new ConfigurationError('uniqueLookup: option "valueIn" is missing');
  if (!(graceMs > 0)) throw new ConfigurationError(`uniqueLookup: graceMs must be above 0, not ${graceMs}`);
  return new UniqueLookup(db, options);
}

/** Whether a write that failed so was certainly not done: the server said no, or it never left. */
function isCertain(error: unknown): boolean {
  if (error instanceof OutcomeUnknownError) return false;
  if (sqlStateOf(error) !== undefined) return !isConnectionLoss(error);
  return error instanceof InvalidArgumentError;
}
