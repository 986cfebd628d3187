import type { Client } from 'pg';
import { qualify } from '../apply/table-sql.ts';
import { checkStatements, indexStatement, primaryKeyStatements } from '../ddl/create-table.ts';
import { inSchema, runStatements } from '../ddl/run-statements.ts';
import type { TargetIndex } from '../model/target-table.ts';
import type { Destination } from '../route/router.ts';
import type { TableCopy } from './copy-job.ts';

/** What could not be made on a table that is copied: the table works without it. */
export interface Shortfall {
  readonly what: string;
  readonly sql: string;
  readonly message: string;
}

/**
 * Makes key, indexes and checks of a copied table, and its statistics.
 *
 * @param deferUnique - the chunks show different moments, so two rows may hold a unique value that they exchanged in
 *   between; such indexes wait until the changes up to the last moment are applied
 * @returns what failed, and the indexes that wait
 */
export async function finishTable(
  copy: TableCopy,
  clients: ReadonlyMap<string, Client>,
  { schemaOf, deferUnique }: { schemaOf: (destination: Destination) => string; deferUnique: boolean },
): Promise<{ shortfalls: Shortfall[]; pending: TargetIndex[] }> {
  const { target } = copy.row;
  // It has its own, and they are kept
  if (target.kept) return { shortfalls: [], pending: [] };
  const shortfalls: Shortfall[] = [];
  const pending = deferUnique ? target.indexes.filter(({ unique }) => unique) : [];
  const indexes = target.indexes.filter((index) => !pending.includes(index));
  await Promise.all(
    [...clients].map(async ([server, client]) => {
      for (const destination of copy.router.destinations) {
        if (destination.server !== server) continue;
        const schema = schemaOf(destination);
        await clearTable(client, schema, target.name);
        await runStatements(client, primaryKeyStatements(target), schema);
        for (const index of indexes)
          await attempt(client, schema, `the index ${index.name}`, indexStatement(target, index));
        for (const sql of checkStatements(target)) await attempt(client, schema, 'a check', sql);
        await client.query(`analyze ${qualify(schema, target.name)}`);
      }
    }),
  );
  return { shortfalls, pending };

  async function attempt(client: Client, schema: string, what: string, statement: string): Promise<void> {
    const sql = inSchema(statement, schema);
    try {
      await client.query(sql);
    } catch (error) {
      shortfalls.push({ what, sql, message: error instanceof Error ? error.message : String(error) });
    }
  }
}

/** Takes off keys, indexes and checks that a run which was cut off here has made. */
async function clearTable(client: Client, schema: string, name: string): Promise<void> {
  const { rows } = await client.query<{ statement: string }>(
    `select format('alter table %I.%I drop constraint %I', n.nspname, c.relname, k.conname) as statement
       from pg_class c
       join pg_namespace n on n.oid = c.relnamespace
       join pg_constraint k on k.conrelid = c.oid and k.contype in ('p', 'u', 'c', 'x')
      where n.nspname = $1
        and c.relname = $2
      union all
     select format('drop index %I.%I', n.nspname, ic.relname)
       from pg_class c
       join pg_namespace n on n.oid = c.relnamespace
       join pg_index i on i.indrelid = c.oid
       join pg_class ic on ic.oid = i.indexrelid
      where n.nspname = $1
        and c.relname = $2
        and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.conrelid = c.oid)`,
    [schema, name],
  );
  for (const { statement } of rows) await client.query(statement);
}
