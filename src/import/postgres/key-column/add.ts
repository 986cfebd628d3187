import type { Client } from 'pg';
import { AbortedError } from '../../../errors.ts';
import { quoteIdentifier } from '../../../internal/quote.ts';
import { sleep } from '../../../internal/sleep.ts';
import { sqlStateOf } from '../../../internal/sqlstate.ts';
import { qualify } from '../../apply/table-sql.ts';
import { ImportError } from '../../errors.ts';
import { qualifiedName } from '../../model/source-table.ts';
import type { KeyColumn } from '../../route/key-column.ts';
import type { AddKeyColumnsOptions } from '../../source/import-source.ts';
import {
  addStatements,
  checkStatements,
  fillStatement,
  finishStatements,
  indexStatement,
  namesOf,
} from './statements.ts';

/** Pages that one transaction fills: rows are locked, and writers of theirs wait, for that long only. */
const PAGES_AT_ONCE = 256;
/** How long a statement that stops everybody may wait for its lock – and everybody behind it. */
const LOCK_TIMEOUT = '5s';
const LOCK_NOT_AVAILABLE = '55P03';
const MAX_ATTEMPTS = 12;

/**
 * Gives a table the routing column of its parent, while both are used. A run that was cut off is repeated: the comment
 * on the column says that it is not filled yet, and until then nobody routes by it.
 */
export async function addKeyColumn(
  client: Client,
  column: KeyColumn,
  { onStep, signal }: AddKeyColumnsOptions,
): Promise<void> {
  const name = qualifiedName(column.table);
  const parent = qualifiedName(column.parent);
  await client.query(`set lock_timeout = '${LOCK_TIMEOUT}'`);
  try {
    await makeIndex(client, column);
    if (!column.table.columns.some((known) => known.name === column.name)) {
      onStep(`${name}: adding the column ${column.name}, which its ${column.foreignKey.name} gives it from ${parent}`);
      await atOnce(client, addStatements(column), signal);
    }
    onStep(`${name}: filling ${column.name}`);
    await fill(client, column, signal);
    for (const statement of checkStatements(column)) await atOnce(client, [statement], signal);
    await atOnce(client, finishStatements(column), signal);
  } finally {
    await client.query('reset lock_timeout');
  }
}

/** All of it or nothing; tried again when somebody holds the table for long. */
async function atOnce(client: Client, statements: readonly string[], signal: AbortSignal | undefined): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await client.query(`begin; ${statements.join('; ')}; commit`);
      return;
    } catch (error) {
      await client.query('rollback');
      if (sqlStateOf(error) !== LOCK_NOT_AVAILABLE || attempt === MAX_ATTEMPTS) throw error;
      await sleep(1_000, { signal, what: 'waiting for a table' });
    }
  }
}

/** A unique index over the parent's key and the column, unless there is one. */
async function makeIndex(client: Client, column: KeyColumn): Promise<void> {
  const { index, parentKey } = namesOf(column);
  const { parent } = column;
  const { rows } = await client.query<{ name: string; valid: boolean }>(
    `select c.relname as name, i.indisvalid as valid
       from pg_index i join pg_class c on c.oid = i.indexrelid
      where i.indrelid = $1::regclass and i.indisunique and i.indimmediate and i.indpred is null and i.indexprs is null
        and i.indnkeyatts = cardinality($2::text[])
        and (select array_agg(a.attname::text order by a.attname)
               from pg_attribute a
              where a.attrelid = i.indrelid and a.attnum = any((i.indkey::int2[])[0:i.indnkeyatts - 1]))
            = (select array_agg(wanted order by wanted) from unnest($2::text[]) wanted)`,
    [qualify(parent.schema, parent.name), parentKey],
  );
  if (rows.some(({ valid }) => valid)) return;
  // What a run that was cut off has left holds nothing
  if (rows.some(({ name }) => name === index)) {
    await client.query(`drop index concurrently ${quoteIdentifier(parent.schema)}.${quoteIdentifier(index)}`);
  }
  // Waits for the transactions that run, and blocks nobody meanwhile
  await client.query('set lock_timeout = 0');
  await client.query(indexStatement(column));
  await client.query(`set lock_timeout = '${LOCK_TIMEOUT}'`);
}

/** Rows that are changed meanwhile have their value from the trigger, wherever they go. */
async function fill(client: Client, column: KeyColumn, signal: AbortSignal | undefined): Promise<void> {
  const { child, parent, column: name } = namesOf(column);
  const { rows } = await client.query<{ pages: number }>(
    `select (pg_relation_size($1::regclass) / current_setting('block_size')::int)::int as pages`,
    [child],
  );
  const { pages } = rows[0]!;
  await client.query('set lock_timeout = 0');
  for (let from = 0; from <= pages; from += PAGES_AT_ONCE) {
    if (signal?.aborted) throw new AbortedError('filling a column', 'stop');
    await client.query(fillStatement(column, { from, to: from + PAGES_AT_ONCE }));
  }
  await client.query(`set lock_timeout = '${LOCK_TIMEOUT}'`);
  const left = await client.query<{ n: string }>(`select count(*)::text as n from ${child} where ${name} is null`);
  const { n } = left.rows[0]!;
  if (n === '0') return;
  throw new ImportError(
    'KEY_COLUMN',
    `${qualifiedName(column.table)}: ${n} rows refer to no row of ${parent} (the foreign key ${column.foreignKey.name} is not valid), so it cannot be told where they belong: delete or mend them, and run it again`,
  );
}
