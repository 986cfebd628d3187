import { lockSource } from '../catalogue/lock.ts';
import { forgetSource } from '../catalogue/position-rows.ts';
import { getSource, letShardsGo, refuseSwitched, setStatus } from '../catalogue/source-rows.ts';
import { deleteTable, listTables } from '../catalogue/table-rows.ts';
import { PreflightError, ReplicaStateError } from '../errors.ts';
import { serversOf } from '../workers/load-tables.ts';
import { type EngineContext, holding, sourceConfig } from './context.ts';
import { SourceCopy } from './copy-source.ts';
import { type DetachResult, standAlone } from './detach-replica.ts';
import { holdShards } from './hold-shards.ts';
import { stopReplica } from './stop-replica.ts';
import { surveySource } from './survey.ts';

/** What was made. */
export interface CopySchemaResult extends DetachResult {
  readonly tables: number;
}

/** Makes the source's tables without their rows: with keys, indexes, checks and foreign keys. The source is not followed. */
export async function copySchema(
  engine: EngineContext,
  name: string,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<CopySchemaResult> {
  const config = sourceConfig(engine, name);
  if (config.keepExistingSchema) {
    throw new ReplicaStateError(
      `the source ${name} has keep_existing_schema: its tables are there, none has to be made`,
    );
  }
  await stopReplica(engine, name, { signal });
  const known = await engine.control((client) => getSource(client, name));
  const lock = await lockSource(engine.servers, known, { waitMs: 5_000, signal });
  const { source } = lock;
  const context = holding(engine, source);
  try {
    refuseSwitched(source);
    const reader = await context.openSource(config);
    const survey = await surveySource(context, config, reader).finally(() => reader.close());
    if (survey.problems.some(({ level }) => level === 'error')) throw new PreflightError(name, survey.problems);
    await holdShards(context, config, source);
    const copy = new SourceCopy(context, config, source, { resume: false, structureOnly: true, signal });
    await copy.run(() => context.openSource(config), survey, { isPart: false });
    const tables = await context.control((client) => listTables(client, source));
    const result = await standAlone(
      context,
      name,
      tables.filter(({ state }) => state === 'followed'),
    );
    for (const server of serversOf(context, config))
      await context.servers.with(server, (client) => forgetSource(client, source.key));
    await context.control(async (client) => {
      for (const table of tables) await deleteTable(client, table.id);
      await setStatus(client, source, 'ready');
      await letShardsGo(client, source);
    });
    return { ...result, tables: tables.length };
  } finally {
    await lock.release();
  }
}
