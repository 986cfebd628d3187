import type { ForeignKeyAction, SourceForeignKey, SourceIndex } from '../model/source-table.ts';
import type { MysqlSession } from './session.ts';
import { type TableScope, where } from './table-scope.ts';

/** Indexes with their columns, the primary key among them, by `schema.table`. */
export async function readIndexes(session: MysqlSession, scope: TableScope): Promise<Map<string, SourceIndex[]>> {
  const filter = where(scope, 'table_schema', 'table_name');
  const rows = await session.query<Record<string, string | number | null>>(
    `select table_schema as s, table_name as t, index_name as n, non_unique as nu, index_type as ty,
            column_name as c, sub_part as p, collation as o
       from information_schema.statistics
      where ${filter.sql}
      order by table_schema, table_name, index_name, seq_in_index`,
    filter.values,
  );
  const byTable = new Map<
    string,
    Map<string, { index: SourceIndex; columns: SourceIndex['columns'][number][]; whole: boolean }>
  >();
  for (const row of rows) {
    const key = `${row.s}.${row.t}`;
    const byName = byTable.get(key) ?? new Map();
    byTable.set(key, byName);
    const name = String(row.n);
    let entry = byName.get(name);
    if (entry === undefined) {
      const type = String(row.ty).toUpperCase();
      const columns: SourceIndex['columns'][number][] = [];
      const kind = type === 'FULLTEXT' ? 'fulltext' : type === 'SPATIAL' || type === 'RTREE' ? 'spatial' : 'btree';
      entry = { index: { name, unique: Number(row.nu) === 0, kind, columns }, columns, whole: true };
      byName.set(name, entry);
    }
    // A part of an index that is an expression (MySQL 8) has no column. Without it the index would be another one, and
    // a unique one would refuse rows, so the whole index is left out
    if (row.c === null || row.c === undefined) entry.whole = false;
    else {
      entry.columns.push({
        name: String(row.c),
        prefix: row.p === null || row.p === undefined ? null : Number(row.p),
        descending: row.o === 'D',
      });
    }
  }
  return new Map(
    [...byTable].map(([key, byName]) => [
      key,
      [...byName.values()].flatMap(({ index, whole }) => (whole ? index : [])),
    ]),
  );
}

/** Foreign keys by `schema.table` of the child. */
export async function readForeignKeys(
  session: MysqlSession,
  scope: TableScope,
): Promise<Map<string, SourceForeignKey[]>> {
  const filter = where(scope, 'k.table_schema', 'k.table_name');
  const rows = await session.query<Record<string, string>>(
    `select k.table_schema as s, k.table_name as t, k.constraint_name as n, k.column_name as c,
            k.referenced_table_schema as ps, k.referenced_table_name as pt, k.referenced_column_name as pc,
            r.delete_rule as dr, r.update_rule as ur
       from information_schema.key_column_usage k
       join information_schema.referential_constraints r
         on r.constraint_schema = k.constraint_schema
        and r.constraint_name = k.constraint_name
        and r.table_name = k.table_name
      where ${filter.sql}
        and k.referenced_table_name is not null
      order by k.table_schema, k.table_name, k.constraint_name, k.ordinal_position`,
    filter.values,
  );
  const result = new Map<string, SourceForeignKey[]>();
  for (const row of rows) {
    const key = `${row.s}.${row.t}`;
    const list = result.get(key) ?? [];
    result.set(key, list);
    const known = list.at(-1);
    if (known !== undefined && known.name === row.n) {
      (known.columns as string[]).push(row.c!);
      (known.parentColumns as string[]).push(row.pc!);
      continue;
    }
    list.push({
      name: row.n!,
      columns: [row.c!],
      parentSchema: row.ps!,
      parentTable: row.pt!,
      parentColumns: [row.pc!],
      onDelete: row.dr!.toLowerCase() as ForeignKeyAction,
      onUpdate: row.ur!.toLowerCase() as ForeignKeyAction,
    });
  }
  return result;
}
