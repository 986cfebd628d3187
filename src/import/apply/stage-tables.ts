import { createHash } from 'node:crypto';
import type { ClientBase } from 'pg';
import { quoteIdentifier } from '../../internal/quote.ts';
import type { TableChanges } from '../stream/batch.ts';
import type { CascadeLink } from '../stream/cascade-links.ts';
import { columnList, qualify } from './table-sql.ts';

/**
 * Temporary tables that take the keys of rows to delete. They live as long as the session and are emptied by each
 * commit without touching the catalogue: made (or truncated) anew for each batch they would fill it with dead rows.
 */
export class StageTables {
  readonly #made = new Set<string>();
  readonly #used = new Set<string>();

  /** A transaction begins: what it finds is empty. */
  begin(): void {
    this.#used.clear();
  }

  /** A rollback takes away what was made in its transaction. */
  forget(): void {
    this.#made.clear();
    this.#used.clear();
  }

  /** A table with the given key columns. */
  keysOf(client: ClientBase, changes: TableChanges, columns: readonly string[], use = 'keys'): Promise<string> {
    return this.#provide(
      client,
      `hv_${use}_${changes.table.id}_${changes.table.version}`,
      placeOf(changes),
      columnList(columns),
    );
  }

  /**
   * A table with keys of parents whose children a foreign key changes.
   * @param list - its columns, as a SELECT of the child makes them
   * @param keep - whether what it holds since the transaction began is still needed
   */
  cascade(client: ClientBase, link: CascadeLink, schema: string, list: string, keep = false): Promise<string> {
    return this.#provide(client, cascadeName(link), qualify(schema, link.child.target.name), list, undefined, keep);
  }

  /** The table that {@link cascade} has made. */
  nameOf(link: CascadeLink): string {
    return `pg_temp.${quoteIdentifier(cascadeName(link))}`;
  }

  /** A table with all columns, a number of its own for each row (`hv_row`) and how many of it to delete (`hv_count`). */
  countsOf(client: ClientBase, changes: TableChanges): Promise<string> {
    const name = `hv_counts_${changes.table.id}_${changes.table.version}`;
    const list = `0::bigint as hv_row, 0::bigint as hv_count, ${columnList(changes.columns)}`;
    return this.#provide(client, name, placeOf(changes), list, 'alter column hv_row add generated always as identity');
  }

  async #provide(
    client: ClientBase,
    name: string,
    place: string,
    list: string,
    alteration?: string,
    keep = false,
  ): Promise<string> {
    const stage = `pg_temp.${quoteIdentifier(name)}`;
    if (!this.#made.has(name)) {
      await client.query(`drop table if exists ${stage}`);
      await client.query(
        `create temporary table ${quoteIdentifier(name)} on commit delete rows as
         select ${list}
           from ${place}
           with no data`,
      );
      if (alteration !== undefined)
        await client.query(`alter table ${stage} alter column hv_row set not null, ${alteration}`);
      this.#made.add(name);
    } else if (this.#used.has(name) && !keep) {
      await client.query(`delete from ${stage}`);
    }
    this.#used.add(name);
    return stage;
  }
}

function placeOf({ destination, table }: TableChanges): string {
  return qualify(destination.schema, table.target.name);
}

/** Foreign keys have long names, and each of a table another. */
function cascadeName({ child, name }: CascadeLink): string {
  const digest = createHash('md5').update(name).digest('hex').slice(0, 12);
  return `hv_cascade_${child.id}_${child.version}_${digest}`;
}
