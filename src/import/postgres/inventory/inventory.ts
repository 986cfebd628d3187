import type { Client } from 'pg';
import type { Problem } from '../../errors.ts';
import { qualifiedName, type SourceTable } from '../../model/source-table.ts';
import { DATABASE_INVENTORY_SQL } from './database-sql.ts';
import { HIDDEN_ROWS_SQL, TABLE_INVENTORY_SQL } from './table-sql.ts';

/** Names in one message; more of them are counted. */
const MAX_NAMES = 40;

/** Said of a kind that belongs to the database: after the names. */
const OF_THE_DATABASE: Readonly<Record<string, string>> = {
  'schema with tables of its own': 'is not in schema_mappings, and its tables stay',
  extension: 'is not made: no column needs it; make it on each server where functions or indexes do',
  function: 'is not carried over; one that a table needs has to be made on each server first',
  sequence: 'belongs to no column and is not carried over',
  type: 'is used by no column and is not carried over',
  collation: 'is not carried over; one that a column needs has to be made on each server first',
};

/** Said of a kind that belongs to a table: after the names. */
const OF_A_TABLE: Readonly<Record<string, string>> = {
  'row-level security':
    'is not carried over: in the target everybody who may read the table sees every row, until you make the policies there',
  grant: 'is not carried over: grant_select_to, or grants of yours once the tables are there',
  owner: 'is not carried over: the role that imports owns the tables',
  'replica identity': 'is not carried over: the table gets the default one',
  parent: 'is inherited from: in the target the tables have nothing to do with each other',
  heir: 'inherits from it: only its own rows are in the table, as in the source, and in the target one query does not read both',
  constraint: 'is made without that',
  numbering: 'is not carried over',
  'column collation': 'has to be made on each server first',
  index: 'needs or has what is not carried over',
};

interface Found {
  readonly kind: string;
  readonly name: string;
}

/** Names everything of the database and its schemas that does not come along. */
export async function databaseInventory(client: Client, schemas: readonly string[], slot: string): Promise<Problem[]> {
  const { rows } = await client.query<Found>(DATABASE_INVENTORY_SQL, [schemas, slot]);
  return problemsOf(rows, null, OF_THE_DATABASE);
}

/** Names everything of tables that does not come along, and tables of which the role would see a part only. */
export async function tableInventory(client: Client, tables: readonly SourceTable[]): Promise<Problem[]> {
  const byOid = new Map(tables.map((table) => [String(table.postgres!.oid), qualifiedName(table)]));
  const oids = [...byOid.keys()];
  const found = await client.query<Found & { oid: string }>(TABLE_INVENTORY_SQL, [oids]);
  const each = [...byOid].flatMap(([oid, table]) =>
    problemsOf(
      found.rows.filter((row) => String(row.oid) === oid),
      table,
      OF_A_TABLE,
    ),
  );
  const problems = saidOnce(each);
  const seen = await client.query<{ oid: string; hidden: boolean; readable: boolean; owned: boolean }>(
    HIDDEN_ROWS_SQL,
    [oids],
  );
  for (const { oid, hidden, readable, owned } of seen.rows) {
    const error = (message: string): void => {
      problems.push({ level: 'error', table: byOid.get(String(oid))!, message });
    };
    if (hidden)
      error('row-level security hides rows of it from the role: alter role … bypassrls, or take its policies off it');
    if (!readable) error('the role may not read it: grant select on it');
    if (!owned) error('the role does not own it, and only an owner may publish it: grant the owner to the role');
  }
  return problems;
}

/** What is the same of several tables is said once: all of them have an owner and grants. */
function saidOnce(problems: readonly Problem[]): Problem[] {
  const byMessage = new Map<string, Problem[]>();
  for (const problem of problems) byMessage.set(problem.message, [...(byMessage.get(problem.message) ?? []), problem]);
  return [...byMessage].flatMap(([message, same]) =>
    same.length === 1
      ? same
      : [{ level: 'warning', table: null, message: `${namesOf(same.map(({ table }) => table!))}: ${message}` }],
  );
}

function namesOf(names: readonly string[]): string {
  const more = names.length > MAX_NAMES ? ` and ${names.length - MAX_NAMES} more` : '';
  return `${names.slice(0, MAX_NAMES).join(', ')}${more}`;
}

function problemsOf(
  rows: readonly Found[],
  table: string | null,
  endings: Readonly<Record<string, string>>,
): Problem[] {
  const kinds = new Map<string, string[]>();
  for (const { kind, name } of rows) kinds.set(kind, [...(kinds.get(kind) ?? []), name]);
  return [...kinds].map(([kind, names]) => ({
    level: 'warning',
    table,
    message: `${kind} ${namesOf(names)} ${endings[kind] ?? 'is not carried over'}`,
  }));
}
