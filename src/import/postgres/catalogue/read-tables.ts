import type { Client } from 'pg';
import { quoteIdentifier } from '../../../internal/quote.ts';
import { SCHEMA } from '../../ddl/run-statements.ts';
import type {
  ForeignKeyAction,
  PostgresTable,
  SourceColumn,
  SourceDefault,
  SourceForeignKey,
  SourceIndex,
  SourceTable,
} from '../../model/source-table.ts';
import { COLUMNS_SQL, CONSTRAINTS_SQL, FUNCTIONS_SQL, INDEXES_SQL, TABLES_SQL, TYPES_SQL } from './tables-sql.ts';
import { type TypeRow, UserTypes } from './user-types.ts';

type Row = Record<string, unknown>;

/** Tables of the given schemas as the catalogue describes them, and what stands against each of them. */
export async function readTables(
  client: Client,
  { schemas, table }: { readonly schemas: readonly string[]; readonly table?: string | undefined },
): Promise<SourceTable[]> {
  const tables = (await client.query<Row>(TABLES_SQL, [schemas, table ?? null])).rows;
  if (tables.length === 0) return [];
  const oids = tables.map(({ oid }) => oid);
  const byTable = async (sql: string): Promise<Map<string, Row[]>> => {
    const groups = new Map<string, Row[]>();
    for (const row of (await client.query<Row>(sql, [oids])).rows) {
      const key = String(row.table_oid);
      groups.set(key, [...(groups.get(key) ?? []), row]);
    }
    return groups;
  };
  const columns = await byTable(COLUMNS_SQL);
  const indexes = await byTable(INDEXES_SQL);
  const constraints = await byTable(CONSTRAINTS_SQL);
  const functions = await byTable(FUNCTIONS_SQL);
  const types = new UserTypes((await client.query<Row>(TYPES_SQL)).rows as unknown as TypeRow[]);
  return tables.map((row) => {
    const oid = String(row.oid);
    return toTable(row, {
      columns: columns.get(oid) ?? [],
      indexes: indexes.get(oid) ?? [],
      constraints: constraints.get(oid) ?? [],
      functions: (functions.get(oid) ?? []).map((used) => used.function as string),
      types,
    });
  });
}

interface Parts {
  readonly columns: readonly Row[];
  readonly indexes: readonly Row[];
  readonly constraints: readonly Row[];
  readonly functions: readonly string[];
  readonly types: UserTypes;
}

function toTable(row: Row, { columns, indexes, constraints, functions, types }: Parts): SourceTable {
  const primary = indexes.find(({ is_primary }) => is_primary === true);
  const primaryKey = (primary?.columns ?? []) as string[];
  const needs = types.needsOf(columns.map(({ type_oid }) => Number(type_oid)));
  const numbered = columns.filter(({ next_number }) => next_number !== null);
  return {
    schema: row.schema as string,
    name: row.name as string,
    columns: columns.map(toColumn),
    primaryKey,
    indexes: indexes.filter((index) => index !== primary).map((index) => toIndex(index, row.name as string)),
    foreignKeys: constraints.filter(({ kind }) => kind === 'f').map(toForeignKey),
    checks: constraints
      .filter(({ kind }) => kind === 'c')
      .map(({ name, expression }) => ({ name: name as string, expression: expression as string })),
    comment: (row.comment as string | null) ?? '',
    transactional: true,
    estimatedRows: Math.round(row.rows as number),
    estimatedBytes: Math.round(row.bytes as number),
    nextNumber: numbered.length === 1 ? (numbered[0]!.next_number as string) : null,
    postgres: {
      oid: Number(row.oid),
      partitioned: row.partitioned as boolean,
      partitions: row.partitions as string[],
      partitionOids: (row.partition_oids as (string | number)[]).map(Number),
      storage: String(row.storage),
      unlogged: row.unlogged as boolean,
      ...identityOf(row, indexes, primaryKey),
      types: needs.types,
      extensions: needs.extensions,
      functions,
      refusals: needs.refusals,
    },
  };
}

/** Rows of a partition are logged under its own identity, whatever its root's is. */
function weakestIdentity({ identity, partition_identities }: Row): string {
  const theirs = partition_identities as string[];
  if (theirs.includes('n')) return 'n';
  return identity === 'f' && theirs.some((own) => own !== 'f') ? 'd' : (identity as string);
}

function identityOf(
  row: Row,
  indexes: readonly Row[],
  primaryKey: readonly string[],
): Pick<PostgresTable, 'replicaIdentity' | 'identityColumns'> {
  const identity = weakestIdentity(row);
  if (identity === 'f') return { replicaIdentity: 'full', identityColumns: [] };
  if (identity === 'i') {
    const index = indexes.find(({ is_identity }) => is_identity === true);
    if (index !== undefined) return { replicaIdentity: 'index', identityColumns: index.columns as string[] };
  }
  if (identity === 'd' && primaryKey.length > 0) return { replicaIdentity: 'key', identityColumns: primaryKey };
  return { replicaIdentity: 'nothing', identityColumns: [] };
}

const SEQUENCE_DEFAULT = /^nextval\('/;

function toColumn(row: Row): SourceColumn {
  const expression = row.expression as string | null;
  const generated = row.generated !== '' ? expression : null;
  const numbered = row.identity !== '' || (expression !== null && SEQUENCE_DEFAULT.test(expression));
  const value: SourceDefault | null =
    expression === null || generated !== null || numbered ? null : { kind: 'expression', text: expression };
  const collation = row.collation === null ? '' : ` collate ${row.collation as string}`;
  return {
    name: row.name as string,
    type: `${row.type as string}${collation}`,
    nullable: row.required !== true,
    default: value,
    autoIncrement: numbered,
    generated,
    charset: null,
    comment: (row.comment as string | null) ?? '',
    postgres: {
      attnum: row.attnum as number,
      typeOid: Number(row.type_oid),
      typmod: row.typmod as number,
      virtual: row.generated === 'v',
      large: row.large as boolean,
      changed: row.changed as string,
      missing: (row.missing as (string | null)[] | null)?.[0] ?? null,
    },
  };
}

/** An index, or the constraint that made it: a name that `on conflict on constraint` finds is kept. */
function toIndex(row: Row, table: string): SourceIndex {
  const place = `${SCHEMA}.${quoteIdentifier(table)}`;
  const unique = row.is_unique as boolean;
  const excludes = ((row.constraint_definition as string | null) ?? '').startsWith('EXCLUDE');
  const name = quoteIdentifier(row.name as string);
  const statement =
    row.constraint === null
      ? `create ${unique ? 'unique ' : ''}index ${name} on ${place} ${row.definition as string}`
      : `alter table ${place} add constraint ${quoteIdentifier(row.constraint as string)} ${row.constraint_definition as string}`;
  return {
    name: row.name as string,
    unique: unique || excludes,
    kind: 'btree',
    // One over expressions or some rows only tells no rows apart
    columns: (unique && row.plain === true ? (row.columns as string[]) : []).map((column) => ({
      name: column,
      prefix: null,
      descending: false,
    })),
    statement,
  };
}

const ACTIONS: Readonly<Record<string, ForeignKeyAction>> = {
  a: 'no action',
  r: 'restrict',
  c: 'cascade',
  n: 'set null',
  d: 'set default',
};

function toForeignKey(row: Row): SourceForeignKey {
  const timing =
    row.deferrable !== true ? undefined : row.deferred === true ? 'deferrable initially deferred' : 'deferrable';
  return {
    name: row.name as string,
    columns: row.columns as string[],
    parentSchema: row.parent_schema as string,
    parentTable: row.parent_table as string,
    parentColumns: row.parent_columns as string[],
    onDelete: ACTIONS[row.on_delete as string] ?? 'no action',
    onUpdate: ACTIONS[row.on_update as string] ?? 'no action',
    ...(timing !== undefined && { timing }),
  };
}
