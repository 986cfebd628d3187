import type { FollowedTable } from '../../stream/followed-table.ts';
import type { FollowedTables } from '../../stream/followed-tables.ts';
import { type StructureNow, unloggedChange } from '../catalogue/structure-now.ts';

export interface StructureWatchOptions {
  readonly tables: FollowedTables;
  /** The tables with these oids, and the names of tables in their schemas that are not followed. */
  readonly read: (oids: readonly number[]) => Promise<ReadonlyMap<number, StructureNow>>;
  readonly strangers: () => Promise<readonly string[]>;
  readonly setAside: (table: FollowedTable, reason: string) => void;
  readonly warn: (message: string) => void;
  /** Moves the log on, for what was set aside is written down with the next batch. */
  readonly moveOn: () => Promise<unknown>;
}

const EVERY_MS = 10_000;

/**
 * Looks now and then for what changed in the source without a word in its log, also of tables whose rows nobody
 * changes: partitions that went, rows that were written anew, tables that were dropped or made.
 */
export class StructureWatch {
  readonly #options: StructureWatchOptions;
  readonly #told = new Set<string>();
  #lookedAt = 0;

  constructor(options: StructureWatchOptions) {
    this.#options = options;
  }

  get isDue(): boolean {
    return Date.now() - this.#lookedAt >= EVERY_MS;
  }

  async look(): Promise<void> {
    this.#lookedAt = Date.now();
    const { tables, read, strangers, setAside, warn, moveOn } = this.#options;
    const before = [...tables].filter(({ source }) => source.postgres !== undefined);
    const now = await read(before.map(({ source }) => source.postgres!.oid));
    for (const table of before) {
      // It may have been changed or set aside meanwhile
      if (tables.find(table.source.schema, table.source.name) !== table) continue;
      const reason = unloggedChange(table.source, now.get(table.source.postgres!.oid));
      if (reason === null) continue;
      setAside(table, reason);
      await moveOn();
    }
    const fresh = (await strangers()).filter((name) => !this.#told.has(name));
    for (const name of fresh) this.#told.add(name);
    if (fresh.length > 0)
      warn(
        `the source has tables that are not followed: ${fresh.join(', ')}; bring them with sync-tables --tables ${fresh.join(',')}, or name them in skip_tables`,
      );
    this.#lookedAt = Date.now();
  }
}
