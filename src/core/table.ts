import { InvalidArgumentError } from '../errors.ts';
import { abortable } from '../internal/abortable.ts';
import { Key } from './key.ts';
import { columnsOf, type RowInput } from './row-json.ts';
import type { TableShards } from './table-shards.ts';
import type { RowChange, RowInsert } from './table-statements.ts';

/** How a table of the user's finds its shard. */
export interface TableOptions<Row> {
  /**
   * `'id'`: ids come from `next_id()` and the shard is read from them. A column: the shard is `shardFor` of its value,
   * and rows are named by `{ id, <column> }`. @default 'id'
   */
  readonly by?: (keyof Row & string) | 'id' | undefined;
  /** An integer column that each update counts up, for compare-and-set by `ifVersion`. */
  readonly versionColumn?: (keyof Row & string) | undefined;
}

/** Names one row: by its id, or, where a column routes, by its id and that column. */
export type RowRef<Row> = Key | bigint | string | (Partial<Row> & { readonly id: unknown });

/** How a change of one row is guarded. */
export interface RowChangeOptions {
  /** The version the row had when it was read; another one is a `VersionConflictError`. */
  readonly ifVersion?: bigint | number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A table of the user's, in every shard, with an `id bigint primary key`. Calls are gathered like those for entities.
 *
 * @example
 * ```ts
 * const orders = db.table<Order>('orders');
 * const order = await orders.insert({ total: '12.50' }, { shardId: db.shardFor('acme') });
 * await orders.update(order.id, { total: '13.00' });
 * ```
 */
export class Table<Row extends object> {
  readonly name: string;
  readonly #shards: TableShards;
  readonly #by: string;

  /** @internal use `db.table()` */
  constructor(name: string, shards: TableShards, by: string) {
    this.name = name;
    this.#shards = shards;
    this.#by = by;
  }

  /** Reads one row, or `null`. int8 comes as bigint, everything else as node-postgres makes it. */
  async get(ref: RowRef<Row>, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<Row | null> {
    return abortable(this.#get(ref), signal, `get of ${this.name}`);
  }

  /** Reads many rows, in the order of the references; `null` where there is none. */
  async getMany(
    refs: readonly RowRef<Row>[],
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<(Row | null)[]> {
    return abortable(Promise.all(refs.map((ref) => this.#get(ref))), signal, `getMany of ${this.name}`);
  }

  /**
   * Inserts a row and returns it as it is stored, with its defaults.
   *
   * @param options.shardId - where it goes; not needed when the row has an id, or a column routes
   */
  async insert(
    row: Partial<Row>,
    { shardId, signal }: { shardId?: number | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<Row> {
    return abortable(this.#insert(row as RowInput, shardId, signal), signal, `insert into ${this.name}`);
  }

  /**
   * Inserts many rows; they come back in the order given. Each row for itself, not all or none: when one fails, the call
   * fails and the others may be stored.
   */
  async insertMany(
    rows: readonly Partial<Row>[],
    { shardId, signal }: { shardId?: number | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<Row[]> {
    const all = Promise.all(rows.map((row) => this.#insert(row as RowInput, shardId, signal)));
    return abortable(all, signal, `insertMany into ${this.name}`);
  }

  /** Sets columns of one row; returns the row as it is now, or `null` when there is none. */
  async update(
    ref: RowRef<Row>,
    changes: Partial<Row>,
    { ifVersion, signal }: RowChangeOptions = {},
  ): Promise<Row | null> {
    const columns = columnsOf(changes as RowInput);
    if (columns.length === 0) throw new InvalidArgumentError(`update of ${this.name}: no column is given`);
    for (const fixed of ['id', this.#by]) {
      if (columns.includes(fixed)) {
        throw new InvalidArgumentError(
          `update of ${this.name}: ${fixed} says where the row lives and can't be changed`,
        );
      }
    }
    const changed = this.#change(ref, changes as RowInput, columns, { ifVersion, signal });
    return abortable(changed as Promise<Row | null>, signal, `update of ${this.name}`);
  }

  /** Removes one row; says whether there was one. */
  async remove(ref: RowRef<Row>, { ifVersion, signal }: RowChangeOptions = {}): Promise<boolean> {
    const removed = this.#change(ref, {}, [], { ifVersion, signal }).then((row) => row !== null);
    return abortable(removed, signal, `removal from ${this.name}`);
  }

  async #get(ref: RowRef<Row>): Promise<Row | null> {
    if (this.#by !== 'id') await this.#shards.learnRouting();
    const { id, shardId, routedBy } = this.#locate(ref);
    const server = this.#shards.server(shardId);
    const row = (await server.read(this.#shards.reads(shardId), id)) as Record<string, unknown> | null;
    // Another tenant's row may have the same old id in this shard.
    if (row !== null && routedBy !== null && String(row[this.#by]) !== routedBy) return null;
    return row as Row | null;
  }

  async #insert(row: RowInput, shardId: number | undefined, signal: AbortSignal | undefined): Promise<Row> {
    const columns = columnsOf(row);
    if (this.#by !== 'id') await this.#shards.learnRouting();
    const home = this.#homeOf(row, shardId);
    const server = this.#shards.server(home);
    return (await server.write<RowInsert>({
      source: this.#shards.inserts(home, columns),
      order: row.id === undefined ? '' : String(row.id),
      repeatable: false,
      signal,
      row,
    })) as Row;
  }

  async #change(
    ref: RowRef<Row>,
    changes: RowInput,
    columns: readonly string[],
    { ifVersion, signal }: RowChangeOptions,
  ): Promise<unknown> {
    if (this.#by !== 'id') await this.#shards.learnRouting();
    const { id, shardId, routedBy } = this.#locate(ref);
    if (ifVersion !== undefined) this.#shards.requireVersionColumn();
    const server = this.#shards.server(shardId);
    return server.write<RowChange>({
      source: this.#shards.changes(shardId, columns),
      order: id,
      repeatable: false,
      signal,
      changes,
      columns,
      routedBy,
      ifVersion: ifVersion === undefined ? null : BigInt(ifVersion).toString(),
    });
  }

  /** Where the row lives. A bare id is refused where a column routes: old ids say nothing about shards. */
  #locate(ref: RowRef<Row>): { id: string; shardId: number; routedBy: string | null } {
    if (this.#by === 'id') {
      const id = typeof ref === 'object' && !(ref instanceof Key) ? ref.id : ref;
      const key = id instanceof Key ? id : new Key(id as bigint | string);
      return { id: key.toString(), shardId: key.shardId, routedBy: null };
    }
    const fields = ref as Record<string, unknown>;
    if (typeof ref !== 'object' || ref instanceof Key || fields[this.#by] == null) {
      throw new InvalidArgumentError(
        `${this.name} is routed by ${this.#by}: name the row by { id, ${this.#by} }, a bare id does not say where it lives`,
      );
    }
    const routedBy = String(fields[this.#by]);
    const id = fields.id instanceof Key ? fields.id : new Key(asId(fields.id));
    return { id: id.toString(), shardId: this.#shards.shardFor(routedBy), routedBy };
  }

  #homeOf(row: RowInput, shardId: number | undefined): number {
    if (this.#by !== 'id') {
      const value = row[this.#by];
      if (value == null) throw new InvalidArgumentError(`insert into ${this.name}: ${this.#by} routes and is missing`);
      const home = this.#shards.shardFor(String(value));
      if (shardId === undefined || shardId === home) return home;
      throw new InvalidArgumentError(
        `insert into ${this.name}: ${this.#by} ${String(value)} lives in shard ${home}, not in shard ${shardId}`,
      );
    }
    const own = row.id === undefined ? undefined : new Key(row.id as bigint | string).shardId;
    const home = shardId ?? own;
    if (home === undefined) {
      throw new InvalidArgumentError(`insert into ${this.name}: say where with { shardId }, e.g. db.shardFor(tenant)`);
    }
    if (own !== undefined && own !== home) {
      throw new InvalidArgumentError(`insert into ${this.name}: the id belongs to shard ${own}, not to shard ${home}`);
    }
    return home;
  }
}

/** Old ids are often small numbers; those that lost no digits are fine. */
function asId(id: unknown): bigint | string {
  return typeof id === 'number' && Number.isSafeInteger(id) && id >= 0 ? BigInt(id) : (id as bigint | string);
}
