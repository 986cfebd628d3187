import type { Position } from '../../model/position.ts';
import { qualifiedName } from '../../model/source-table.ts';
import type { FollowedTable } from '../../stream/followed-table.ts';
import type { FollowedTables } from '../../stream/followed-tables.ts';
import { messageOf } from '../../workers/message-of.ts';
import {
  type StructureNow,
  unloggedChange,
  unspokenChange,
  unspokenChangeMessage,
} from '../catalogue/structure-now.ts';

export interface StructureWatchOptions {
  readonly tables: FollowedTables;
  /** The tables with these oids, and the names of tables in their schemas that are not followed. */
  readonly read: (oids: readonly number[]) => Promise<ReadonlyMap<number, StructureNow>>;
  readonly strangers: () => Promise<readonly string[]>;
  readonly setAside: (table: FollowedTable, reason: string) => void;
  readonly warn: (message: string) => void;
  /** Moves the log on, for what was set aside is written down with the next batch. Returns a place behind all before. */
  readonly moveOn: () => Promise<Position>;
  /** Whether everything before a place was read. */
  readonly hasRead: (ordinal: bigint) => boolean;
}

const EVERY_MS = 10_000;
/** Stands for a place when a change was told of. */
const TOLD = -1n;
/** How soon it is looked again when the log may still tell of a change. */
const AGAIN_MS = 1_000;

/**
 * Looks now and then for what changed in the source without a word in its log, also of tables whose rows nobody
 * changes: partitions that went, rows that were written anew, tables that were dropped or made.
 */
export class StructureWatch {
  readonly #options: StructureWatchOptions;
  readonly #told = new Set<string>();
  /** Changes that the log may still tell of: it does so before the place, or has nothing to tell. */
  readonly #awaited = new Map<FollowedTable, bigint>();
  #dueAt = 0;
  /** Running. */
  #failures = 0;

  constructor(options: StructureWatchOptions) {
    this.#options = options;
  }

  get isDue(): boolean {
    return Date.now() >= this.#dueAt;
  }

  /** Never fails, for the log goes on without it. What fails twice running is told once; a session that ends fails once. */
  async look(): Promise<void> {
    try {
      await this.#look();
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      if (this.#failures !== 2) return;
      this.#options.warn(`whether tables of the source have changed can't be seen: ${messageOf(error)}`);
    }
  }

  async #look(): Promise<void> {
    this.#dueAt = Date.now() + EVERY_MS;
    const { tables, read, strangers, setAside, warn, moveOn } = this.#options;
    const before = [...tables].filter(({ source }) => source.postgres !== undefined);
    const now = await read(before.map(({ source }) => source.postgres!.oid));
    for (const table of before) {
      // It may have been changed or set aside meanwhile
      if (tables.get(table.id) !== table) continue;
      const current = now.get(table.source.postgres!.oid);
      const reason = unloggedChange(table.source, current);
      if (reason !== null) {
        setAside(table, reason);
        await moveOn();
        continue;
      }
      const change = unspokenChange(table.source, current);
      if (change !== null) await this.#await(table, change);
    }
    for (const table of this.#awaited.keys()) if (!before.includes(table)) this.#awaited.delete(table);
    const fresh = (await strangers()).filter((name) => !this.#told.has(name));
    for (const name of fresh) this.#told.add(name);
    if (fresh.length > 0)
      warn(
        `the source has tables that are not followed: ${fresh.join(', ')}; bring them with sync-tables --tables ${fresh.join(',')}, or name them in skip_tables`,
      );
    this.#dueAt = Date.now() + (this.#isAwaiting ? AGAIN_MS : EVERY_MS);
  }

  /** Whoever reads on to a row of the table follows the change; nobody may write one for months. */
  async #await(table: FollowedTable, change: string): Promise<void> {
    const { moveOn, hasRead, warn } = this.#options;
    const place = this.#awaited.get(table);
    if (place === undefined) this.#awaited.set(table, (await moveOn()).ordinal);
    else if (place !== TOLD && hasRead(place)) {
      this.#awaited.set(table, TOLD);
      const name = qualifiedName(table.source);
      warn(`${name}: ${unspokenChangeMessage(change)}; write one, or bring it with sync-tables --tables ${name}`);
    }
  }

  get #isAwaiting(): boolean {
    return [...this.#awaited.values()].some((place) => place !== TOLD);
  }
}
