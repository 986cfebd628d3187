import type { Client } from 'pg';
import { dependentsOf } from '../catalogue/dependents.ts';
import { lockSource, underLock } from '../catalogue/lock.ts';
import {
  getSource,
  refuseSwitched,
  type SourceRow,
  type SourceStatus,
  setFlags,
  setStatus,
} from '../catalogue/source-rows.ts';
import { deleteTable, listTables, type TableRow } from '../catalogue/table-rows.ts';
import { ReplicaStateError } from '../errors.ts';
import { qualifiedName } from '../model/source-table.ts';
import { messageOf } from '../workers/message-of.ts';
import { forgetUnapplied } from '../workers/settle-structures.ts';
import { type EngineContext, holding, sourceConfig } from './context.ts';
import { type CopyResult, type CopySourceOptions, SourceCopy } from './copy-source.ts';
import { holdShards } from './hold-shards.ts';
import { stopReplica } from './stop-replica.ts';
import type { Survey } from './survey.ts';
import { surveyToCopy } from './survey-to-copy.ts';

export type PartOptions = Partial<CopySourceOptions>;

/** Copies one origin schema anew, beside the others (`refresh-schema`). The replica is stopped and has to be started again. */
export async function refreshSchema(
  context: EngineContext,
  name: string,
  schema: string,
  options: PartOptions = {},
): Promise<CopyResult> {
  const config = sourceConfig(context, name);
  if (config.schemaMappings[schema] === undefined) {
    const known = Object.keys(config.schemaMappings).join(', ');
    throw new ReplicaStateError(`${schema} is not mapped by the source ${name}; mapped: ${known}`);
  }
  return copyPart(context, name, [schema], () => true, 'initialised', options);
}

/**
 * Copies tables anew, beside the others (`sync-tables`): those named `schema.table`, or with `disabled` all that were
 * set aside. The replica is stopped and has to be started again.
 */
export async function syncTables(
  context: EngineContext,
  name: string,
  tables: readonly string[] | 'disabled',
  options: PartOptions = {},
): Promise<CopyResult> {
  const config = sourceConfig(context, name);
  const source = await context.control((client) => getSource(client, name));
  const known = await context.control((client) => listTables(client, source));
  const wanted =
    tables === 'disabled'
      ? new Set(known.filter(({ state }) => state === 'aside').map((row) => qualifiedName(row.source)))
      : new Set(tables);
  for (const table of wanted) {
    const schema = table.slice(0, table.indexOf('.'));
    if (config.schemaMappings[schema] === undefined) {
      throw new ReplicaStateError(`${table}: name a table as schema.table, with a schema that the source ${name} maps`);
    }
  }
  if (config.kind === 'mysql') refuseWithoutParents(known, wanted);
  // Nothing to do is no reason to stop the replica
  if (wanted.size === 0) return { tables: [], leftOut: [], rows: 0, durationMs: 0 };
  const schemas = [...new Set([...wanted].map((table) => table.slice(0, table.indexOf('.'))))];
  return copyPart(context, name, schemas, (table) => wanted.has(table), 'synced', options);
}

/** A table whose rows change with those of a parent cannot be followed while the parent is not. */
function refuseWithoutParents(known: readonly TableRow[], wanted: ReadonlySet<string>): void {
  for (const parent of known) {
    if (parent.state !== 'aside' || wanted.has(qualifiedName(parent.source))) continue;
    const child = dependentsOf(parent, known).find(({ table }) => wanted.has(qualifiedName(table.source)));
    if (child === undefined) continue;
    const [name, parentName] = [qualifiedName(child.table.source), qualifiedName(parent.source)];
    throw new ReplicaStateError(
      `${name} changes with ${parentName} by the foreign key ${child.foreignKey}, and that is set aside: name both in --tables, or use --tables disabled`,
    );
  }
}

async function copyPart(
  engine: EngineContext,
  name: string,
  schemas: readonly string[],
  isWanted: (table: string) => boolean,
  after: SourceStatus,
  options: PartOptions,
): Promise<CopyResult> {
  const config = sourceConfig(engine, name);
  await stopReplica(engine, name, { signal: options.signal });
  const known = await engine.control((client) => getSource(client, name));
  refuseUnfit(known);
  const lock = await lockSource(engine.servers, known, { waitMs: 5_000, signal: options.signal });
  const before = lock.source;
  const context = holding(engine, before);
  return underLock(lock, options.signal, async (signal) => {
    // While we waited, somebody may have switched: the rows to be replaced would be the newer ones
    refuseUnfit(before);
    try {
      await holdShards(context, config, before);
      if (before.status !== 'syncing') await forgetUnapplied(context, config, before);
      const whole = await surveyToCopy(context, config, { schemas, isWanted, signal });
      const survey = {
        ...whole,
        tables: whole.tables.filter(({ source }) => isWanted(qualifiedName(source))),
        leftOut: whole.leftOut.filter(({ source }) => isWanted(qualifiedName(source))),
      };
      await context.control((client) => forgetGone(client, before, survey, schemas, isWanted));
      await context.control(async (client) => {
        await setStatus(client, before, 'syncing');
        await setFlags(client, before, { stopRequested: false, paused: false });
      });
      const resume = options.resume ?? before.status === 'syncing';
      const copy = new SourceCopy(context, config, before, { ...options, resume, signal });
      const result = await copy.run(() => context.openSource(config), survey, { isPart: true });
      await context.control((client) => setStatus(client, before, after));
      return result;
    } catch (error) {
      if (!signal.aborted) await context.control((client) => setStatus(client, before, 'error', messageOf(error)));
      throw error;
    }
  });
}

function refuseUnfit(source: SourceRow): void {
  refuseSwitched(source);
  if (source.status === 'ready' || source.status === 'initialising')
    throw new ReplicaStateError(`the source ${source.name} is ${source.status}; run init-replica first`);
}

/** Tables that were set aside, and were dropped or renamed in the source since. */
async function forgetGone(
  client: Client,
  source: SourceRow,
  { tables, leftOut }: Pick<Survey, 'tables' | 'leftOut'>,
  schemas: readonly string[],
  isWanted: (table: string) => boolean,
): Promise<void> {
  const there = new Set([...tables, ...leftOut].map((planned) => qualifiedName(planned.source)));
  for (const row of await listTables(client, source)) {
    const name = qualifiedName(row.source);
    if (row.state === 'aside' && schemas.includes(row.source.schema) && isWanted(name) && !there.has(name))
      await deleteTable(client, row.id);
  }
}
