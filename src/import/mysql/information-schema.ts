import type { SourceCheck, SourceColumn, SourceTable } from '../model/source-table.ts';
import type { ServerFlavour } from './flavour.ts';
import { readForeignKeys, readIndexes } from './information-schema-keys.ts';
import type { MysqlSession } from './session.ts';
import { readDefault } from './shown-default.ts';
import { type TableScope, where } from './table-scope.ts';

/** Reads the base tables of the given schemas from information_schema, in the order of their names. */
export async function readSourceTables(
  session: MysqlSession,
  flavour: ServerFlavour,
  scope: TableScope,
): Promise<SourceTable[]> {
  const [tables, columns, indexes, foreignKeys, checks] = [
    await readTables(session, scope),
    await readColumns(session, flavour, scope),
    await readIndexes(session, scope),
    await readForeignKeys(session, scope),
    await readChecks(session, flavour, scope),
  ];
  return tables.map((table) => {
    const key = `${table.schema}.${table.name}`;
    const own = checks.get(key) ?? [];
    const jsonChecked = new Set(own.flatMap(({ expression }) => jsonColumnOf(expression)));
    const all = indexes.get(key) ?? [];
    return {
      ...table,
      columns: (columns.get(key) ?? []).map((column) =>
        jsonChecked.has(column.name) && column.type.startsWith('longtext') ? { ...column, json: true } : column,
      ),
      primaryKey: all.find(({ name }) => name === 'PRIMARY')?.columns.map(({ name }) => name) ?? [],
      indexes: all.filter(({ name }) => name !== 'PRIMARY'),
      foreignKeys: foreignKeys.get(key) ?? [],
      checks: own,
    };
  });
}

function jsonColumnOf(expression: string): string[] {
  const name = /^\s*json_valid\(`([^`]*)`\)\s*$/i.exec(expression)?.[1];
  return name === undefined ? [] : [name];
}

type TableHead = Pick<
  SourceTable,
  'schema' | 'name' | 'comment' | 'transactional' | 'estimatedRows' | 'estimatedBytes' | 'nextNumber'
>;

async function readTables(session: MysqlSession, scope: TableScope): Promise<TableHead[]> {
  const filter = where(scope, 'table_schema', 'table_name');
  const rows = await session.query<Record<string, string | number | null>>(
    `select table_schema as s, table_name as t, engine as e, table_rows as r, data_length as b, table_comment as c,
            cast(auto_increment as char) as ai
       from information_schema.tables
      where ${filter.sql}
        and table_type = 'BASE TABLE'
      order by table_schema, table_name`,
    filter.values,
  );
  return rows.map((row) => ({
    schema: String(row.s),
    name: String(row.t),
    comment: String(row.c ?? ''),
    transactional: /^(innodb|rocksdb|tokudb|xtradb)$/i.test(String(row.e ?? '')),
    estimatedRows: Number(row.r ?? 0),
    estimatedBytes: Number(row.b ?? 0),
    nextNumber: row.ai === null || row.ai === undefined ? null : String(row.ai),
  }));
}

async function readColumns(
  session: MysqlSession,
  flavour: ServerFlavour,
  scope: TableScope,
): Promise<Map<string, SourceColumn[]>> {
  const filter = where(scope, 'table_schema', 'table_name');
  const rows = await session.query<Record<string, string | null>>(
    `select table_schema as s, table_name as t, column_name as n, column_type as ty, is_nullable as nu,
            column_default as d, extra as x, character_set_name as cs, column_comment as c,
            generation_expression as g
       from information_schema.columns
      where ${filter.sql}
      order by table_schema, table_name, ordinal_position`,
    filter.values,
  );
  return groupByTable(rows, (row): SourceColumn => {
    const extra = (row.x ?? '').toLowerCase();
    const expression = row.g ?? '';
    return {
      name: row.n!,
      type: row.ty!,
      nullable: row.nu === 'YES',
      default: readDefault(row.d ?? null, extra, row.ty!, flavour),
      autoIncrement: extra.includes('auto_increment'),
      generated: expression === '' ? null : expression,
      charset: row.cs ?? null,
      comment: row.c ?? '',
    };
  });
}

async function readChecks(
  session: MysqlSession,
  flavour: ServerFlavour,
  scope: TableScope,
): Promise<Map<string, SourceCheck[]>> {
  if (!flavour.checks) return new Map();
  const filter = where(scope, 'tc.table_schema', 'tc.table_name');
  const join = flavour.mariadb ? 'and cc.table_name = tc.table_name' : '';
  const rows = await session.query<Record<string, string>>(
    `select tc.table_schema as s, tc.table_name as t, cc.constraint_name as n, cc.check_clause as e
       from information_schema.table_constraints tc
       join information_schema.check_constraints cc
         on cc.constraint_schema = tc.constraint_schema
        and cc.constraint_name = tc.constraint_name
        ${join}
      where ${filter.sql}
        and tc.constraint_type = 'CHECK'
      order by 1, 2, 3`,
    filter.values,
  );
  return groupByTable(rows, (row): SourceCheck => ({ name: row.n!, expression: row.e! }));
}

function groupByTable<Item>(
  rows: readonly Record<string, string | null>[],
  make: (row: Record<string, string | null>) => Item,
): Map<string, Item[]> {
  const result = new Map<string, Item[]>();
  for (const row of rows) {
    const key = `${row.s}.${row.t}`;
    const list = result.get(key);
    if (list === undefined) result.set(key, [make(row)]);
    else list.push(make(row));
  }
  return result;
}
