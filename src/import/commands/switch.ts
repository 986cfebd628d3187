import { noteError } from '../catalogue/error-rows.ts';
import { getSource, refuseSwitched, type SourceRow } from '../catalogue/source-rows.ts';
import { listTables } from '../catalogue/table-rows.ts';
import type { SourceConfig } from '../config/source-config.ts';
import type { ForeignKeyResult } from '../ddl/foreign-keys.ts';
import { PreflightError, type Problem, ReplicaStateError } from '../errors.ts';
import { qualifiedName } from '../model/source-table.ts';
import { passStream } from '../verify/pass-stream.ts';
import { OLD_DATABASE } from '../way-back/back-names.ts';
import { oldDatabase } from '../way-back/old-database.ts';
import { installOnSource, openWayBack, reviewWayBack } from '../way-back/open-way-back.ts';
import { type SwitchOptions, type SwitchWork, setStopped, turn, withStopped } from '../way-back/switch-work.ts';
import { lockWrites } from '../way-back/write-lock.ts';
import { forgetOnSource } from './add-source.ts';
import { catchUp } from './catch-up.ts';
import { type EngineContext, sourceConfig } from './context.ts';
import { standAlone } from './detach-replica.ts';
import { unspokenChanges } from './unspoken-changes.ts';

export interface SwitchResult {
  readonly foreignKeys: readonly ForeignKeyResult[];
  readonly sequences: number;
  /** For how long nobody could write. */
  readonly lockedMs: number;
}

/**
 * Makes the target the place where rows live: the source's tables take no more writes, the last changes are brought
 * over, numbering and foreign keys are made – and from then on `start-replica` brings what changes in the target back
 * to the source, until `back` or `finish`.
 *
 * ```
 * forward ── switch ──▶ switching ──▶ reverse ── back ──▶ returning ──▶ forward
 *                           └── back ──▶ forward  └── finish ──▶ finishing ──▶ the source is forgotten
 * ```
 *
 * Every step can be repeated: a run that was cut off is run again, or taken back. The last step of each way is the one
 * that says so in the catalogue.
 *
 * @throws PreflightError with everything that stands against the way back, before anything is changed
 */
export async function switchOver(
  context: EngineContext,
  name: string,
  options: SwitchOptions = {},
): Promise<SwitchResult> {
  await refuseBeforeStopping(context, name, options);
  return withStopped(context, name, options, async (work) => {
    const { config, source, rows } = work;
    await refuseUnready(work, options.force ?? false);
    const old = oldDatabase(config);
    try {
      const problems = await reviewWayBack(work, old);
      if (problems.length > 0) throw new PreflightError(name, problems, 'switched');
      await installOnSource(old);
      // Most of what is under way comes over while everybody still writes
      await catchUp(context, config, source, work);
      const changed = await unspokenProblems(context, config, source, options);
      if (changed.length > 0) throw new PreflightError(name, changed, 'switched');
      await turn(work, 'switching');
      const lockedAt = Date.now();
      const tables = rows.map((row) => row.source);
      work.signal.throwIfAborted();
      await old.with(OLD_DATABASE, (client) => lockWrites(client, tables));
      await catchUp(context, config, source, work);
      work.signal.throwIfAborted();
      const result = await standAlone(context, name, rows);
      for (const { table, name: key, reason } of result.foreignKeys.filter(({ made }) => !made)) {
        const message = `the foreign key ${key} was not made: ${reason}`;
        context.log.warn(`${name}: ${table}: ${message}`);
        await context.control((client) => noteError(client, source, { phase: 'switch', table, message }));
      }
      work.signal.throwIfAborted();
      await openWayBack(work, old);
      await turn(work, 'reverse');
      const lockedMs = Date.now() - lockedAt;
      await setStopped(work);
      // What flows back is no news for the target: the slot begins anew when somebody goes back
      await forgetOnSource(context, config);
      return { ...result, lockedMs };
    } finally {
      await old.close();
    }
  });
}

/** What stands against the switch is said while the replica still runs: it is none the worse for having been asked. */
async function refuseBeforeStopping(context: EngineContext, name: string, options: SwitchOptions): Promise<void> {
  const config = sourceConfig(context, name);
  const source = await context.control((client) => getSource(client, name));
  if (config.kind !== 'pgsql' || source.direction !== 'forward') return;
  const all = await context.control((client) => listTables(client, source));
  const old = oldDatabase(config);
  const rows = all.filter(({ state }) => state === 'followed');
  const problems = await reviewWayBack({ context, config, source, rows }, old).finally(() => old.close());
  problems.push(...(await unspokenProblems(context, config, source, options)));
  if (problems.length > 0) throw new PreflightError(name, problems, 'switched');
}

async function unspokenProblems(
  context: EngineContext,
  config: SourceConfig,
  source: SourceRow,
  options: SwitchOptions,
): Promise<Problem[]> {
  const reader = await context.openSource(config);
  try {
    const passed = (): Promise<void> => passStream(context, config, source, reader, options);
    const changes = await unspokenChanges(context, config, source, reader, passed);
    return [...changes].map(([table, message]) => ({ level: 'error', table, message }));
  } finally {
    await reader.close();
  }
}

async function refuseUnready({ context, source, config, aside }: SwitchWork, force: boolean): Promise<void> {
  const { name, status, direction } = source;
  if (direction === 'finishing') refuseSwitched(source);
  if (direction === 'reverse' || direction === 'returning') {
    // What a run that was cut off has left
    if (direction === 'reverse') await forgetOnSource(context, config);
    throw new ReplicaStateError(`the source ${name} is switched already`);
  }
  if (!['initialised', 'synced', 'stopped', 'running'].includes(status)) {
    throw new ReplicaStateError(`the source ${name} is ${status} and cannot be switched`);
  }
  if (aside.length > 0 && !force) {
    throw new ReplicaStateError(
      `these tables are set aside and not up to date: ${aside.map((row) => qualifiedName(row.source)).join(', ')}; run sync-tables --tables disabled first, or switch with force`,
    );
  }
}
