import type { Client } from 'pg';
import type { SourceConfig } from '../config/source-config.ts';
import type { Problem } from '../errors.ts';
import { qualifiedName } from '../model/source-table.ts';
import type { EngineContext } from './context.ts';
import type { PlannedTable } from './survey.ts';

/** Names that our own tables in a shard's schema have. */
const OURS = /^(hv_.*|entities|table_id_seq)$/;

/** What stands against the import on a server that takes rows. */
export async function checkTarget(
  context: EngineContext,
  config: SourceConfig,
  server: string,
  tables: readonly PlannedTable[],
): Promise<Problem[]> {
  const problems: Problem[] = [];
  const error = (table: string | null, message: string): void => {
    problems.push({ level: 'error', table, message: `${server}: ${message}` });
  };
  await context.servers.with(server, async (client) => {
    const { rows } = await client.query<{ encoding: string; creates: boolean }>(
      `select pg_encoding_to_char(encoding) as encoding, has_database_privilege(datname, 'create') as creates
         from pg_database
        where datname = current_database()`,
    );
    if (rows[0]!.encoding !== 'UTF8') error(null, `the database is in ${rows[0]!.encoding}; it must be in UTF8`);
    if (!rows[0]!.creates) error(null, 'the role may not make schemas: grant create on database … to it');
    for (const lack of await lacksOf(client, tables)) error(lack.table, lack.message);
    if (config.routing === null) return;
    const shards = context.places.allShards().filter((place) => place.server === server);
    const missing = await missingSchemas(
      client,
      shards.map(({ schema }) => schema),
    );
    if (missing.length > 0) {
      const some = missing.slice(0, 3).join(', ');
      error(
        null,
        `${missing.length} shard schemas are not there (${some}${missing.length > 3 ? ', …' : ''}): run hypervault init first`,
      );
    }
    for (const { source, target, routing } of tables) {
      if (routing.kind === 'by' && OURS.test(target.name)) {
        error(
          qualifiedName(source),
          `a table named ${target.name} cannot live in a shard, the name is ours; skip it or rename it`,
        );
      }
    }
  });
  for (const role of config.grantSelectTo) {
    const known = await context.servers.with(server, async (client) => {
      const { rows } = await client.query('select from pg_roles where rolname = $1', [role]);
      return rows.length > 0;
    });
    if (!known)
      problems.push({
        level: 'warning',
        table: null,
        message: `${server}: grant_select_to names the role ${role}, which is not there`,
      });
  }
  return problems;
}

async function missingSchemas(client: Client, schemas: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select wanted.name
       from unnest($1::text[]) as wanted (name)
      where not exists (select from pg_namespace n where n.nspname = wanted.name)`,
    [schemas],
  );
  return rows.map(({ name }) => name);
}

/** Functions and extensions that tables need and that we cannot bring. */
async function lacksOf(client: Client, tables: readonly PlannedTable[]): Promise<{ table: string; message: string }[]> {
  const wanted = tables.flatMap(({ source, target }) => {
    const table = qualifiedName(source);
    return [
      ...(target.needs?.functions ?? []).map((name) => ({ table, name, kind: 'function' })),
      ...(target.needs?.extensions ?? []).map(({ name }) => ({ table, name, kind: 'extension' })),
    ];
  });
  if (wanted.length === 0) return [];
  const { rows } = await client.query<{ table: string; name: string; kind: string }>(
    `select wanted.*
       from jsonb_to_recordset($1) as wanted ("table" text, name text, kind text)
      where case kind
              when 'function' then to_regprocedure(name) is null
              else not exists (select from pg_available_extensions e where e.name = wanted.name)
            end`,
    [JSON.stringify(wanted)],
  );
  return rows.map(({ table, name, kind }) => ({
    table,
    message: `it needs the ${kind} ${name}, which is not there: ${kind === 'function' ? 'make' : 'install'} it first`,
  }));
}
