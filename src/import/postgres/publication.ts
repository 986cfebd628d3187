import type { Client } from 'pg';
import { ADVISORY_LOCK_CLASS } from '../../internal/advisory-locks.ts';
import { quoteIdentifier, quoteLiteral } from '../../internal/quote.ts';
import { qualify } from '../apply/table-sql.ts';
import { qualifiedName, type SourceTable } from '../model/source-table.ts';
import type { StatementHost } from '../stream/statement-host.ts';

/** Tenths of a second that a walsender has to end by itself. */
const TRIES_BEFORE_ENDING = 30;

/** Names of what we make on a source: the replication slot and the publication have the same. */
export function slotName(source: string): string {
  return `hypervault_${source.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_')}`.slice(0, 63);
}

/**
 * Makes or drops what we have on a server under a name, one session after the other: that of a process that was killed goes
 * on with its statement – waiting for a table, or for the transactions that a new slot has to wait for – and what it is
 * about to make looks to others as if it were there, or were not.
 */
export async function inTurn<Result>(client: Client, name: string, work: () => Promise<Result>): Promise<Result> {
  const key = [ADVISORY_LOCK_CLASS.slot, name];
  await client.query('set lock_timeout = 0');
  await client.query('select pg_advisory_lock($1, hashtext($2))', key);
  try {
    return await work();
  } finally {
    // A session that is gone has let go
    await client.query('select pg_advisory_unlock($1, hashtext($2))', key).catch(() => {});
  }
}

/**
 * Publishes tables; a partitioned one as a whole, one that others inherit from alone. The publication has to be there before the slot, for decoding looks
 * it up as it was at the time of the change.
 *
 * @param exact - whether other tables leave the publication
 */
export async function publishTables(
  client: Client,
  name: string,
  tables: readonly Pick<SourceTable, 'schema' | 'name'>[],
  { exact }: { readonly exact: boolean },
): Promise<void> {
  const publication = quoteIdentifier(name);
  const list = (some: readonly Pick<SourceTable, 'schema' | 'name'>[]): string =>
    some.map((table) => `table only ${qualify(table.schema, table.name)}`).join(', ');
  const { rows } = await client.query<{ there: boolean; published: string[] }>(
    `select exists (select from pg_publication where pubname = $1) as there,
            array(select format('%s.%s', schemaname, tablename) from pg_publication_tables where pubname = $1) as published`,
    [name],
  );
  const { there, published } = rows[0]!;
  if (!there) {
    const what = tables.length === 0 ? '' : ` for ${list(tables)}`;
    await client.query(`create publication ${publication}${what} with (publish_via_partition_root = true)`);
    return;
  }
  const missing = tables.filter((table) => !published.includes(`${table.schema}.${table.name}`));
  if (exact && tables.length > 0) {
    if (missing.length > 0 || published.length !== tables.length) {
      await client.query(`alter publication ${publication} set ${list(tables)}`);
    }
  } else if (missing.length > 0) await client.query(`alter publication ${publication} add ${list(missing)}`);
}

/** Tables that are wanted and not published: made since the last copy, or left out of it. */
export async function unpublishedTables(
  client: Client,
  name: string,
  { mapsSchema, wants }: Pick<StatementHost, 'mapsSchema' | 'wants'>,
): Promise<string[]> {
  const { rows } = await client.query<{ schema: string; name: string }>(
    `select n.nspname as schema, c.relname as name
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence = 'p'
        and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
        and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
        and not exists (select from pg_publication_rel r join pg_publication p on p.oid = r.prpubid
                         where p.pubname = $1 and r.prrelid = c.oid)
      order by 1, 2`,
    [name],
  );
  return rows.filter((table) => mapsSchema(table.schema) && wants(table.schema, table.name)).map(qualifiedName);
}

/** Makes the slot that keeps the log for us, unless it is there and good. */
export async function ensureSlot(client: Client, name: string): Promise<void> {
  const { rows } = await client.query<{ lost: boolean }>(
    `select coalesce(wal_status = 'lost', false) as lost from pg_replication_slots where slot_name = $1`,
    [name],
  );
  if (rows[0]?.lost === true) await client.query('select pg_drop_replication_slot($1)', [name]);
  if (rows[0] === undefined || rows[0].lost) {
    await client.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [name]);
  }
}

/**
 * Takes away what we made on the source. Waits a little for a walsender that is just ending, then ends it: one that decodes
 * a large transaction without a row for us does not look whether the process it works for is still there.
 */
export function dropSlotAndPublication(client: Client, name: string): Promise<void> {
  return inTurn(client, name, () => drop(client, name));
}

async function drop(client: Client, name: string): Promise<void> {
  const slot = quoteLiteral(name).trim();
  await client.query(
    `do $$
     begin
       for attempt in 1..100 loop
         exit when not exists (select from pg_replication_slots where slot_name = ${slot} and active);
         if attempt = ${TRIES_BEFORE_ENDING} then
           perform pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = ${slot} and active;
         end if;
         perform pg_sleep(0.1);
       end loop;
       perform pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = ${slot};
     end;
     $$`,
  );
  await client.query(`drop publication if exists ${quoteIdentifier(name)}`);
}
