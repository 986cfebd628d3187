import type { Client } from 'pg';
import type { Problem } from '../errors.ts';
import { databaseInventory } from './inventory/inventory.ts';

interface Facts {
  readonly version: number;
  readonly wal_level: string;
  readonly free_slots: number;
  readonly free_senders: number;
  readonly keeps_all: boolean;
  readonly replication: boolean;
  readonly creates: boolean;
  readonly standby: boolean;
  readonly encoding: string;
  readonly large_objects: boolean;
  readonly slot: string | null;
}

const FACTS_SQL = `
select current_setting('server_version_num')::int as version, current_setting('wal_level') as wal_level,
       current_setting('max_replication_slots')::int - (select count(*)::int from pg_replication_slots) as free_slots,
       current_setting('max_wal_senders')::int - (select count(*)::int from pg_stat_replication) as free_senders,
       current_setting('max_slot_wal_keep_size', true) = '-1' as keeps_all,
       (select rolreplication or rolsuper from pg_roles where rolname = current_user) as replication,
       has_database_privilege(current_database(), 'create') as creates,
       pg_is_in_recovery() as standby,
       pg_encoding_to_char(encoding) as encoding,
       exists (select from pg_largeobject_metadata) as large_objects,
       (select plugin from pg_replication_slots where slot_name = $1) as slot
  from pg_database
 where datname = current_database()`;

/** What of the server and its settings stands against following it. Changes nothing. */
export async function preflightPostgres(client: Client, schemas: readonly string[], slot: string): Promise<Problem[]> {
  const problems: Problem[] = [];
  const add = (level: Problem['level'], message: string): void => {
    problems.push({ level, table: null, message });
  };
  const facts = (await client.query<Facts & Record<string, unknown>>(FACTS_SQL, [slot])).rows[0]!;
  const needed = facts.slot === null ? 2 : 1;
  if (facts.version < 130_000)
    add('error', 'the source is older than PostgreSQL 13, which first streams partitions as one table');
  if (facts.standby) add('error', 'the source is a standby; name its primary');
  if (facts.encoding !== 'UTF8') add('error', `the source's database is in ${facts.encoding}; it must be in UTF8`);
  if (facts.wal_level !== 'logical') {
    add('error', `wal_level is ${facts.wal_level}: alter system set wal_level = logical, and start the server again`);
  }
  if (facts.free_slots < needed) {
    add(
      'error',
      `${needed} replication slots are needed and ${facts.free_slots} are free: raise max_replication_slots`,
    );
  }
  if (facts.free_senders < needed) {
    add('error', `${needed} walsenders are needed and ${facts.free_senders} are free: raise max_wal_senders`);
  }
  if (!facts.replication) add('error', 'the role may not replicate: alter role … replication');
  if (!facts.creates) add('error', 'the role may not make a publication: grant create on database … to it');
  if (facts.slot !== null && facts.slot !== 'pgoutput') {
    add(
      'error',
      `the replication slot ${slot} is somebody else's (${facts.slot}): choose another with replication_slot`,
    );
  }
  if (facts.keeps_all) {
    add(
      'warning',
      'max_slot_wal_keep_size is not set: while the replica stands still the source keeps all its log, until the disk is full',
    );
  }
  if (facts.large_objects)
    add('warning', 'the database has large objects, which no log tells of; they are not carried over');
  const missing = await client.query<{ name: string }>(
    'select name from unnest($1::text[]) as name where not exists (select from pg_namespace where nspname = name)',
    [schemas],
  );
  for (const { name } of missing.rows) add('error', `schema_mappings names the schema ${name}, which is not there`);
  problems.push(...(await databaseInventory(client, schemas, slot)));
  return problems;
}
