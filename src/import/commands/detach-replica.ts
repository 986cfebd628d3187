import { noteError } from '../catalogue/error-rows.ts';
import { lockSource } from '../catalogue/lock.ts';
import { forgetSource, readPosition } from '../catalogue/position-rows.ts';
import { deleteSource, getSource, refuseSwitched, type SourceRow, setFlags } from '../catalogue/source-rows.ts';
import { listTables, type TableRow } from '../catalogue/table-rows.ts';
import type { SourceConfig } from '../config/source-config.ts';
import { createForeignKeys, type ForeignKeyResult } from '../ddl/foreign-keys.ts';
import { restoreKeys } from '../ddl/kept-keys.ts';
import { setSequences } from '../ddl/sequences.ts';
import { ReplicaStateError } from '../errors.ts';
import { qualifiedName } from '../model/source-table.ts';
import { routerOf, serversOf } from '../workers/load-tables.ts';
import { forgetOnSource } from './add-source.ts';
import { catchUp } from './catch-up.ts';
import { type EngineContext, holding, sourceConfig } from './context.ts';
import { holdShards } from './hold-shards.ts';
import { stopReplica } from './stop-replica.ts';

export interface DetachOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long the last changes may take to arrive. @default 600000 */
  readonly timeoutMs?: number | undefined;
  /** Detaches although tables are set aside: what they hold is not up to date. @default false */
  readonly force?: boolean | undefined;
}

export interface DetachResult {
  readonly foreignKeys: readonly ForeignKeyResult[];
  readonly sequences: number;
}

/**
 * Ends the replication and leaves a database that stands on its own: the last changes are applied, sequences go on
 * behind the highest values, foreign keys are made with what they do on delete and update, the source is forgotten.
 * Nothing may write to the source any more.
 */
export async function detachReplica(
  engine: EngineContext,
  name: string,
  options: DetachOptions = {},
): Promise<DetachResult> {
  const config = sourceConfig(engine, name);
  const { signal, timeoutMs = 600_000, force = false } = options;
  await stopReplica(engine, name, { signal });
  const known = await engine.control((client) => getSource(client, name));
  refuseSwitched(known);
  const lock = await lockSource(engine.servers, known, { waitMs: 5_000, signal });
  const { source } = lock;
  const context = holding(engine, source);
  try {
    refuseSwitched(source);
    if (!['initialised', 'synced', 'stopped', 'running'].includes(source.status)) {
      throw new ReplicaStateError(`the source ${name} is ${source.status} and cannot be detached`);
    }
    await holdShards(context, config, source);
    await context.control((client) => setFlags(client, source, { stopRequested: false, paused: false }));
    // Cut off behind its last change, the source is no longer known to the servers: what is left is done again
    if (await isKnown(context, config, source)) await catchUp(context, config, source, { signal, timeoutMs });
    const tables = await context.control((client) => listTables(client, source));
    const aside = tables.filter(({ state }) => state !== 'followed');
    if (aside.length > 0 && !force) {
      const names = aside.map((row) => qualifiedName(row.source)).join(', ');
      throw new ReplicaStateError(
        `these tables are set aside and not up to date: ${names}; run sync-tables --tables disabled first, or detach with force`,
      );
    }
    const result = await standAlone(
      context,
      name,
      tables.filter(({ state }) => state === 'followed'),
    );
    for (const { table, name: key, reason } of result.foreignKeys.filter(({ made }) => !made)) {
      context.log.warn(`${name}: ${table}: the foreign key ${key} was not made: ${reason}`);
      await context.control((client) =>
        noteError(client, source, {
          phase: 'detach',
          table,
          message: `the foreign key ${key} was not made: ${reason}`,
        }),
      );
    }
    for (const server of serversOf(context, config))
      await context.servers.with(server, (client) => forgetSource(client, source.key));
    await forgetOnSource(context, config);
    await lock.under((client) => deleteSource(client, source));
    return result;
  } finally {
    await lock.release();
  }
}

/** Whether every server still has a position of the source. */
async function isKnown(context: EngineContext, config: SourceConfig, { key }: SourceRow): Promise<boolean> {
  for (const server of serversOf(context, config)) {
    const position = await context.servers.with(server, (client) => readPosition(client, key));
    if (position === null) return false;
  }
  return true;
}

/** Sequences and foreign keys of replicated tables. */
export async function standAlone(
  context: EngineContext,
  name: string,
  tables: readonly TableRow[],
): Promise<DetachResult> {
  const config = sourceConfig(context, name);
  let sequences = 0;
  const reader = await context.openSource(config);
  const now = await reader.readTables(Object.keys(config.schemaMappings)).finally(() => reader.close());
  const nextNumbers = new Map(now.map((table) => [qualifiedName(table), table.nextNumber]));
  const placed = tables.map((row) => ({
    source: row.source,
    targetName: row.target.name,
    target: row.target,
    router: routerOf(context, config, row),
  }));
  for (const { source, target, router } of placed) {
    for (const { server, schema } of router.destinations) {
      if (!target.columns.some(({ identity }) => identity)) continue;
      sequences += await context.servers.with(server, (client) =>
        setSequences(client, target, schema, nextNumbers.get(qualifiedName(source)) ?? null),
      );
    }
  }
  const foreignKeys = config.keepExistingSchema
    ? await restoreKeptKeys(context, config, name)
    : await createForeignKeys(placed, (server, work) => context.servers.with(server, work));
  return { foreignKeys, sequences };
}

/** The foreign keys that kept tables had. */
export async function restoreKeptKeys(
  context: EngineContext,
  config: SourceConfig,
  name: string,
): Promise<ForeignKeyResult[]> {
  const { key } = await context.control((client) => getSource(client, name));
  const results: ForeignKeyResult[] = [];
  for (const server of serversOf(context, config))
    results.push(...(await context.servers.with(server, (client) => restoreKeys(client, key))));
  return results;
}
