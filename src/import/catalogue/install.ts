import { applySchema } from '../../internal/migrations.ts';
import type { Servers } from './servers.ts';

/** Our schema on every server and in the control database. */
export const OUR_SCHEMA = 'hypervault';

/** Installs the catalogue and what each server keeps. Idempotent. Returns the names of the files that were run. */
export async function installCatalogue(servers: Servers): Promise<string[]> {
  const applied: string[] = [];
  for (const name of servers.names) {
    await servers.with(name, async (client) => {
      const result = await applySchema(client, { module: 'import', scope: 'server', schema: OUR_SCHEMA });
      applied.push(...result.applied.map((file) => `${name}: ${file.path}`));
      if (name !== servers.control) return;
      const control = await applySchema(client, { module: 'import', scope: 'control', schema: OUR_SCHEMA });
      applied.push(...control.applied.map((file) => `${name}: ${file.path}`));
    });
  }
  return applied;
}

/** Tables of the import, the control database's and each server's. */
const CONTROL_TABLES = [
  'import_lost_view',
  'import_log',
  'import_statement',
  'import_error',
  'import_table',
  'import_source',
];
const SERVER_TABLES = [
  'import_prepared',
  'import_kept_key',
  'import_altered_value',
  'import_altered_column',
  'import_chunk',
  'import_structure',
  'import_position',
];
const CONTROL_FUNCTIONS = ['import_add_source(text, text, jsonb, jsonb)'];
const SERVER_FUNCTIONS = [
  'import_store_position(uuid, numeric, numeric, text, text, timestamptz, bigint, bigint, bigint)',
  'import_set_position(uuid, numeric, text, text)',
  'import_note_altered_values(uuid, jsonb)',
  'import_refuse_writes()',
];

/** Takes the catalogue away; replicated rows stay. */
export async function dropCatalogue(servers: Servers): Promise<void> {
  for (const name of servers.names) {
    await servers.with(name, async (client) => {
      const control = name === servers.control;
      const tables = [...(control ? CONTROL_TABLES : []), ...SERVER_TABLES].map((table) => `${OUR_SCHEMA}.${table}`);
      const functions = [...(control ? CONTROL_FUNCTIONS : []), ...SERVER_FUNCTIONS].map((f) => `${OUR_SCHEMA}.${f}`);
      const { rows } = await client.query('select from pg_namespace where nspname = $1', [OUR_SCHEMA]);
      if (rows.length === 0) return;
      await client.query('begin');
      await client.query(`drop function if exists ${functions.join(', ')}`);
      await client.query(`drop table if exists ${tables.join(', ')}`);
      await client.query(`delete from ${OUR_SCHEMA}.ledger where module = 'import' and scope = any($1)`, [
        control ? ['server', 'control'] : ['server'],
      ]);
      await client.query('commit');
    });
  }
}

/** Whether the catalogue is there. */
export async function hasCatalogue(servers: Servers): Promise<boolean> {
  return servers.with(servers.control, async (client) => {
    const { rows } = await client.query<{ there: boolean }>(
      `select to_regclass('${OUR_SCHEMA}.import_source') is not null as there`,
    );
    return rows[0]!.there;
  });
}
