import type { Client } from 'pg';
import { applySchema } from '../../internal/migrations.ts';
import { qualify } from '../apply/table-sql.ts';
import { OUR_SCHEMA } from '../catalogue/own-objects.ts';
import { setPosition } from '../catalogue/position-rows.ts';
import type { Servers } from '../catalogue/servers.ts';
import type { SourceRow } from '../catalogue/source-rows.ts';
import type { TableRow } from '../catalogue/table-rows.ts';
import type { EngineContext } from '../commands/context.ts';
import type { SourceConfig } from '../config/source-config.ts';
import type { Problem } from '../errors.ts';
import { narrowColumns } from '../mapping/narrow-columns.ts';
import { qualifiedName } from '../model/source-table.ts';
import { lsnPosition, parseLsn } from '../postgres/lsn.ts';
import { dropSlotAndPublication, ensureSlot, inTurn, publishTables } from '../postgres/publication.ts';
import { serversOf } from '../workers/load-tables.ts';
import { messageOf } from '../workers/message-of.ts';
import { backKey, backSlot, OLD_DATABASE } from './back-names.ts';
import { backPlaces, needsFullIdentity } from './back-tables.ts';

interface WayBack {
  readonly context: EngineContext;
  readonly config: SourceConfig;
  readonly source: SourceRow;
  readonly rows: readonly TableRow[];
}

/** What our lock and our positions need on the old database. */
export async function installOnSource(old: Servers): Promise<void> {
  await old.with(OLD_DATABASE, async (client) => {
    await applySchema(client, { module: 'import', scope: 'server', schema: OUR_SCHEMA });
  });
}

/** Everything that stands against flowing back, before anything is switched. */
export async function reviewWayBack({ context, config, rows }: WayBack, old: Servers): Promise<Problem[]> {
  const problems: Problem[] = [];
  const error = (table: string | null, message: string): void => {
    problems.push({ level: 'error', table, message });
  };
  await old
    .with(OLD_DATABASE, (client) => client.query('set session_replication_role = replica'))
    .catch((cause: unknown) =>
      error(
        null,
        `the role may not write to the old database as a stream does (${messageOf(cause)}): make it a superuser, or grant set on parameter session_replication_role to it`,
      ),
    );
  for (const server of serversOf(context, config)) {
    const { rows: found } = await context.servers.with(server, (client) =>
      client.query<{ level: string; free: number }>(
        `select current_setting('wal_level') as level,
                current_setting('max_replication_slots')::int - (select count(*)::int from pg_replication_slots
                                                                  where slot_name <> $1) as free`,
        [backSlot(config)],
      ),
    );
    if (found[0]!.level !== 'logical')
      error(null, `${server}: wal_level is ${found[0]!.level}; set it to logical and start the server again`);
    if (found[0]!.free < 1) error(null, `${server}: no replication slot is free; raise max_replication_slots`);
  }
  for (const { source, target } of rows) {
    for (const { name, type } of narrowColumns(source, target)) {
      error(
        qualifiedName(source),
        `new rows of the shards will have ids in ${name} that its ${type} in the old database cannot hold: alter table ${qualify(source.schema, source.name)} alter column "${name}" type bigint there, if it is not yet, then hypervault import sync-tables --tables ${qualifiedName(source)}`,
      );
    }
  }
  return problems;
}

/** Publishes every server's tables and keeps their logs from now on. Nobody writes to them yet. */
export async function openWayBack(
  { context, config, source, rows, signal }: WayBack & { readonly signal: AbortSignal },
  old: Servers,
): Promise<void> {
  const slot = backSlot(config);
  for (const server of serversOf(context, config)) {
    const places = backPlaces(context, config, rows, server);
    const start = await context.servers.with(server, async (client) => {
      for (const { schema, name, row } of places) {
        if (needsFullIdentity(row)) await client.query(`alter table ${qualify(schema, name)} replica identity full`);
      }
      return inTurn(client, slot, async () => {
        await publishTables(client, slot, places, { exact: true });
        await ensureSlot(client, slot);
        return confirmedPlace(client, slot);
      });
    });
    const key = backKey(source, server);
    // Nothing has flowed back yet, so what stands there is of a switch that was cut off
    signal.throwIfAborted();
    await old.with(OLD_DATABASE, (client) => setPosition(client, key, lsnPosition(start)));
  }
}

/** Takes everything away that the way back needed. */
export async function closeWayBack({ context, config, source, rows }: WayBack, old: Servers): Promise<void> {
  for (const server of serversOf(context, config)) {
    const places = backPlaces(context, config, rows, server);
    await context.servers.with(server, async (client) => {
      await dropSlotAndPublication(client, backSlot(config));
      for (const { schema, name, row } of places) {
        if (needsFullIdentity(row)) await client.query(`alter table ${qualify(schema, name)} replica identity default`);
      }
    });
    const key = backKey(source, server);
    await old.with(OLD_DATABASE, (client) =>
      client.query('delete from hypervault.import_position where source = $1', [key]),
    );
  }
}

async function confirmedPlace(client: Client, slot: string): Promise<bigint> {
  const { rows } = await client.query<{ lsn: string }>(
    'select confirmed_flush_lsn::text as lsn from pg_replication_slots where slot_name = $1',
    [slot],
  );
  return parseLsn(rows[0]!.lsn);
}
