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
  /** By number: the last name. */
  #known = new Map<number, string>();
  #kept: { readonly tables: Map<number, FollowedTable>; readonly known: Map<number, string> } | undefined;
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

  /** Whether a table of that number had another name when it was last followed here. */
  isElsewhere(id: number, { schema, name }: { readonly schema: string; readonly name: string }): boolean {
    const known = this.#known.get(id);
    return known !== undefined && known !== nameOf(schema, name);
  }

  put(table: FollowedTable): void {
    this.remove(table);
    const name = nameOf(table.source.schema, table.source.name);
    this.#known.set(table.id, name);
    this.#tables.set(table.id, table);
    this.#names.set(name, table.id);
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
    this.#kept = { tables: new Map(this.#tables), known: new Map(this.#known) };
  }

  /** Goes back to the state kept last. Tables set aside meanwhile stay out. */
  restore(isAside: (id: number) => boolean): void {
    if (this.#kept === undefined) return;
    this.#names.clear();
    this.#tables.clear();
    for (const table of this.#kept.tables.values()) if (!isAside(table.id)) this.put(table);
    // What was met since comes again, and is not yet in what waits
    this.#known = new Map(this.#kept.known);
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
