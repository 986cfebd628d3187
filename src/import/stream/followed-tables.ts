import { CascadeLinks } from './cascade-links.ts';
import type { FollowedTable } from './followed-table.ts';
import { CascadeReach } from './pending-cascades.ts';

/** The tables that a reader follows, by their names in the source as they are at its place of the log. */
export class FollowedTables {
  #tables = new Map<string, FollowedTable>();
  #kept: Map<string, FollowedTable> | undefined;
  #reach: CascadeReach | undefined;

  constructor(tables: Iterable<FollowedTable> = []) {
    for (const table of tables) this.put(table);
  }

  find(schema: string, name: string): FollowedTable | null {
    return this.#tables.get(`${schema}\0${name}`) ?? null;
  }

  put(table: FollowedTable): void {
    this.#reach = undefined;
    this.#tables.set(`${table.source.schema}\0${table.source.name}`, table);
  }

  /** A table was dropped, renamed or set aside. */
  remove(schema: string, name: string): void {
    this.#reach = undefined;
    this.#tables.delete(`${schema}\0${name}`);
  }

  /** Keeps the present state, of the end of a batch that was handed over: reading may have to begin there again. */
  keep(): void {
    this.#kept = new Map(this.#tables);
  }

  /** Goes back to the state kept last. Tables set aside meanwhile stay out. */
  restore(isAside: (id: number) => boolean): void {
    this.#reach = undefined;
    if (this.#kept !== undefined) this.#tables = new Map([...this.#kept].filter(([, { id }]) => !isAside(id)));
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
