import type {
  ForeignKeyAction,
  SourceCheck,
  SourceColumn,
  SourceDefault,
  SourceForeignKey,
  SourceIndex,
  SourceTable,
} from '../model/source-table.ts';
import type { ServerFlavour } from './flavour.ts';
import type { MysqlSession } from './session.ts';

/** Which tables to describe: all of the schemas, or only one. */
export interface TableScope {
  readonly schemas: readonly string[];
  readonly table?: string | undefined;
}

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

/** The WHERE clause and its values. The names of the columns differ between the views of information_schema. */
function where(scope: TableScope, schemaColumn: string, tableColumn: string): { sql: string; values: unknown[] } {
  if (scope.table === undefined) return { sql: `${schemaColumn} in (?)`, values: [scope.schemas] };
  return { sql: `${schemaColumn} in (?) and ${tableColumn} = ?`, values: [scope.schemas, scope.table] };
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

/** MariaDB quotes literals and writes NULL as a word; MySQL gives bare text and marks expressions in EXTRA. */
function readDefault(text: string | null, extra: string, type: string, flavour: ServerFlavour): SourceDefault | null {
  if (text === null) return null;
  if (flavour.mariadb) {
    if (text === 'NULL') return null;
    const quoted = /^'(.*)'$/s.exec(text)?.[1];
    if (quoted !== undefined) {
      const plain = unquote(quoted);
      // Bytes may be zero, which no text that we store can hold
      if (!/^(var)?binary/i.test(type)) return { kind: 'literal', text: plain };
      return { kind: 'bytes', text: Buffer.from(plain).toString('hex') };
    }
    if (/^-?[\d.]+(e[+-]?\d+)?$/i.test(text) || /^b'[01]*'$/i.test(text)) return { kind: 'literal', text };
    return { kind: 'expression', text };
  }
  const isExpression = extra.includes('default_generated') || /^current_timestamp(\(\d?\))?$/i.test(text);
  if (isExpression && !/^(char|varchar|text|enum|set)/i.test(type)) return { kind: 'expression', text };
  return extra.includes('default_generated') ? { kind: 'expression', text } : { kind: 'literal', text };
}

function unquote(text: string): string {
  return text.replace(/''|\\(.)/gs, (_, letter: string | undefined) => {
    if (letter === undefined) return "'";
    return { n: '\n', t: '\t', r: '\r', '0': '\0', Z: '\x1a', b: '\b' }[letter] ?? letter;
  });
}

async function readIndexes(session: MysqlSession, scope: TableScope): Promise<Map<string, SourceIndex[]>> {
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

async function readForeignKeys(session: MysqlSession, scope: TableScope): Promise<Map<string, SourceForeignKey[]>> {
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
