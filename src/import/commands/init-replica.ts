import { lockSource, underLock } from '../catalogue/lock.ts';
import { getSource, refuseSwitched, setConsistency, setFlags, setStatus } from '../catalogue/source-rows.ts';
import { deleteTable, listTables } from '../catalogue/table-rows.ts';
import { PreflightError } from '../errors.ts';
import { qualifiedName } from '../model/source-table.ts';
import { messageOf } from '../workers/message-of.ts';
import { type EngineContext, holding, sourceConfig } from './context.ts';
import { type CopyResult, type CopySourceOptions, SourceCopy } from './copy-source.ts';
import { grantSchemas } from './grants.ts';
import { holdShards } from './hold-shards.ts';
import { stopReplica } from './stop-replica.ts';
import { surveyToCopy } from './survey-to-copy.ts';

export interface InitOptions extends Partial<CopySourceOptions> {
  /** Logs what will be different or left out; off for a caller that has shown what {@link preflight} says. @default true */
  readonly logWarnings?: boolean | undefined;
}

/**
 * Copies everything a source maps and leaves the replica ready to be started. An interrupted run goes on where it was.
 *
 * @throws PreflightError with everything that is wrong, before anything is changed
 */
export async function initReplica(engine: EngineContext, name: string, options: InitOptions = {}): Promise<CopyResult> {
  const config = sourceConfig(engine, name);
  await stopReplica(engine, name, { signal: options.signal });
  const known = await engine.control((client) => getSource(client, name));
  refuseSwitched(known);
  const lock = await lockSource(engine.servers, known, { waitMs: 5_000, signal: options.signal });
  const before = lock.source;
  const context = holding(engine, before);
  return underLock(lock, options.signal, async (signal) => {
    // While we waited, somebody may have switched: the rows to be replaced would be the newer ones
    refuseSwitched(before);
    const survey = await surveyToCopy(context, config, { signal }).catch(async (error: unknown) => {
      if (error instanceof PreflightError)
        await context.control((client) => setStatus(client, before, 'error', error.message));
      throw error;
    });
    for (const { table, message } of options.logWarnings === false ? [] : survey.problems)
      context.log.warn(`${name}: ${table === null ? '' : `${table}: `}${message}`);
    await holdShards(context, config, before);
    const resume = (options.resume ?? true) && (before.status === 'initialising' || before.status === 'error');
    await context.control(async (client) => {
      await setStatus(client, before, 'initialising');
      await setFlags(client, before, { stopRequested: false, paused: false });
      await setConsistency(client, before, null, false);
      if (resume) return;
      const wanted = new Set(
        [...survey.tables.map(({ source }) => source), ...survey.leftOut.map(({ source }) => source)].map(
          qualifiedName,
        ),
      );
      for (const row of await listTables(client, before)) {
        if (!wanted.has(qualifiedName(row.source))) await deleteTable(client, row.id);
      }
    });
    try {
      await grantSchemas(context, config);
      const copy = new SourceCopy(context, config, before, { ...options, resume, signal });
      const result = await copy.run(() => context.openSource(config), survey, { isPart: false });
      await context.control((client) => setStatus(client, before, 'initialised'));
      return result;
    } catch (error) {
      // A run that was only stopped goes on as it is
      if (!signal.aborted) await context.control((client) => setStatus(client, before, 'error', messageOf(error)));
      throw error;
    }
  });
}
