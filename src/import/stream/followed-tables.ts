import { CascadeLinks } from './cascade-links.ts';
import type { FollowedTable } from './followed-table.ts';
import { CascadeReach } from './pending-cascades.ts';

/**
 * The tables that a reader follows, by their numbers and by their names in the source as they are at its place of the
 * log. A source that tells of a new name only with the next row may give one to two tables for a while: it is that of
 * the one it told of last.
 */
export class FollowedTables {
  #tables = new Map<number, FollowedTable>();
  readonly #names = new Map<string, number>();
  readonly #known = new Set<number>();
  #kept: Map<number, FollowedTable> | undefined;
  #reach: CascadeReach | undefined;

  constructor(tables: Iterable<FollowedTable> = []) {
    for (const table of tables) this.put(table);
  }

  find(schema: string, name: string): FollowedTable | null {
    const id = this.#names.get(nameOf(schema, name));
    return id === undefined ? null : this.get(id);
  }

  get(id: number): FollowedTable | null {
    return this.#tables.get(id) ?? null;
  }

  /** Whether a table of that number was ever followed here, under whatever name: batches that wait may speak of it. */
  hasKnown(id: number): boolean {
    return this.#known.has(id);
  }

  put(table: FollowedTable): void {
    this.remove(table);
    this.#known.add(table.id);
    this.#tables.set(table.id, table);
    this.#names.set(nameOf(table.source.schema, table.source.name), table.id);
  }

  /** A table was dropped, or set aside. */
  remove({ id }: Pick<FollowedTable, 'id'>): void {
    this.#reach = undefined;
    const table = this.#tables.get(id);
    if (table === undefined) return;
    this.#tables.delete(id);
    const name = nameOf(table.source.schema, table.source.name);
    if (this.#names.get(name) === id) this.#names.delete(name);
  }

  /** Keeps the present state, of the end of a batch that was handed over: reading may have to begin there again. */
  keep(): void {
    this.#kept = new Map(this.#tables);
  }

  /** Goes back to the state kept last. Tables set aside meanwhile stay out. */
  restore(isAside: (id: number) => boolean): void {
    if (this.#kept === undefined) return;
    this.#names.clear();
    this.#tables.clear();
    for (const table of this.#kept.values()) if (!isAside(table.id)) this.put(table);
    this.#reach = undefined;
  }

  /** What foreign keys between these tables do by themselves. Another object after each change of a structure. */
  get cascades(): CascadeReach {
    this.#reach ??= new CascadeReach(new CascadeLinks(this));
    return this.#reach;
  }

  [Symbol.iterator](): IterableIterator<FollowedTable> {
    return this.#tables.values();
  }
}

function nameOf(schema: string, name: string): string {
  return `${schema}\0${name}`;
}
