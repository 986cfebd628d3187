import {
  type ChameleonSource,
  chameleonVersion,
  listChameleonSources,
  retireChameleonSource,
} from '../catalogue/chameleon-rows.ts';
import { putStructure, setPosition } from '../catalogue/position-rows.ts';
import { inTransaction } from '../catalogue/servers.ts';
import { getSource, insertSource, listSources, setConsistency, setStatus } from '../catalogue/source-rows.ts';
import { putTable, setCopied, setTableState, type TableRow } from '../catalogue/table-rows.ts';
import type { SourceConfig } from '../config/source-config.ts';
import { readExistingColumns } from '../ddl/existing-table.ts';
import { ReplicaStateError } from '../errors.ts';
import { fitChameleonTable } from '../mapping/fit-chameleon.ts';
import { UnmappableTable } from '../mapping/map-table.ts';
import type { Position } from '../model/position.ts';
import { qualifiedName, type SourceTable } from '../model/source-table.ts';
import type { TargetTable } from '../model/target-table.ts';
import { messageOf } from '../workers/message-of.ts';
import { hasPostgis } from '../workers/postgis.ts';
import { targetOf } from './add-source.ts';
import { type EngineContext, mappingOptions } from './context.ts';
import { isWanted } from './wanted.ts';

/** A source of pg_chameleon that is ours now, or why it is not. */
export interface TakenOver {
  readonly source: string;
  /** Why nothing of it was taken over. */
  readonly refusal: string | null;
  /** Tables that are followed from where pg_chameleon stopped. */
  readonly followed: readonly string[];
  /** Tables that `sync-tables --tables disabled` has to copy anew, with the reason. */
  readonly aside: readonly { readonly table: string; readonly reason: string }[];
}

interface Judged {
  readonly source: SourceTable;
  readonly target: TargetTable;
  /** Why it has to be copied anew. */
  readonly reason: string | null;
}

/** Whether a server has a catalogue of pg_chameleon. */
export async function hasChameleon({ servers }: EngineContext): Promise<boolean> {
  for (const name of servers.names) if ((await servers.with(name, chameleonVersion)) !== null) return true;
  return false;
}

/**
 * Takes over the sources of a pg_chameleon 2.0 whose catalogue is in the target database: mappings, tables and the place
 * of the log. A table is followed on from there when what pg_chameleon keeps is what a copy of ours would hold; the others
 * wait for a copy. pg_chameleon cannot start the source any more.
 */
export async function takeOverChameleon(context: EngineContext): Promise<TakenOver[]> {
  const known = new Set((await context.control(listSources)).map(({ name }) => name));
  const result: TakenOver[] = [];
  for (const config of context.config.sources.values()) {
    if (known.has(config.name) || config.kind !== 'mysql' || config.routing !== null) continue;
    const server = config.server ?? context.config.topology.control;
    const theirs = await context.servers.with(server, async (client) => {
      const version = await chameleonVersion(client);
      if (version === null || !version.startsWith('2.0.')) return undefined;
      return (await listChameleonSources(client)).find(({ name }) => name === config.name);
    });
    if (theirs === undefined) continue;
    try {
      result.push(await takeOver(context, config, server, theirs));
    } catch (error) {
      if (!(error instanceof ReplicaStateError)) throw error;
      context.log.warn(`${config.name}: not taken over from pg_chameleon: ${messageOf(error)}`);
      result.push({ source: config.name, refusal: messageOf(error), followed: [], aside: [] });
    }
  }
  return result;
}

async function takeOver(
  context: EngineContext,
  config: SourceConfig,
  server: string,
  theirs: ChameleonSource,
): Promise<TakenOver> {
  const { file, offset } = expectFinished(config, theirs);
  const source = await context.openSource(config);
  let place: Position;
  const judged: Judged[] = [];
  try {
    const found = await source.placeAt!(file, offset);
    place = found.position;
    const options = mappingOptions(context, config, await hasPostgis(context, server));
    const enabled = new Map(theirs.tables.map((table) => [`${table.schema}.${table.name}`, table.enabled]));
    for (const table of await source.readTables(Object.keys(config.schemaMappings))) {
      if (!isWanted(config, table)) continue;
      const schema = config.schemaMappings[table.schema]!;
      let target: TargetTable;
      try {
        target = source.mapTable(table, schema, options);
      } catch (error) {
        if (error instanceof UnmappableTable) continue;
        throw error;
      }
      const existing = await context.servers.with(server, (client) => readExistingColumns(client, schema, table.name));
      const state = enabled.get(`${schema}.${table.name}`);
      if (existing === null || state !== true) {
        const reason = state === false ? 'pg_chameleon had disabled it' : 'pg_chameleon did not replicate it';
        judged.push({ source: table, target, reason });
        continue;
      }
      const fit = fitChameleonTable(table, target, existing, found.utc);
      if ('target' in fit) judged.push({ source: table, target: fit.target, reason: null });
      else judged.push({ source: table, target, reason: `as pg_chameleon keeps it: ${fit.refusals.join('; ')}` });
    }
  } finally {
    await source.close();
  }
  await enter(context, config, server, { theirs, judged, place });
  return {
    source: config.name,
    refusal: null,
    followed: judged.filter(({ reason }) => reason === null).map((one) => qualifiedName(one.source)),
    aside: judged.flatMap(({ source: table, reason }) =>
      reason === null ? [] : [{ table: qualifiedName(table), reason }],
    ),
  };
}

/** Only what stands still, with everything applied that was read, has one place of the log. */
function expectFinished(config: SourceConfig, theirs: ChameleonSource): { file: string; offset: number } {
  const { status, consistent, pending, place, mappings } = theirs;
  const refuse = (why: string): never => {
    throw new ReplicaStateError(`its ${why}, then run upgrade-replica-schema again, or begin anew with add-source`);
  };
  if (!['stopped', 'initialised', 'synced'].includes(status))
    refuse(`status in pg_chameleon is ${status}: stop it with chameleon stop_replica`);
  if (!consistent) refuse('tables are not consistent yet: let pg_chameleon run until show_status says so, and stop it');
  if (pending > 0) refuse(`last ${pending} batches are not applied: let pg_chameleon apply them, and stop it`);
  const same = (one: object): string => JSON.stringify(Object.entries(one).sort());
  if (same(mappings) !== same(config.schemaMappings))
    refuse(`schema_mappings in pg_chameleon are ${JSON.stringify(mappings)}: write the same into the configuration`);
  return place ?? refuse('place in the log is not known to pg_chameleon: initialise it');
}

/** The rows of the server are of no use without the catalogue's, whose transaction ends last. */
async function enter(
  context: EngineContext,
  config: SourceConfig,
  server: string,
  { theirs, judged, place }: { theirs: ChameleonSource; judged: readonly Judged[]; place: Position },
): Promise<void> {
  await context.control((client) =>
    inTransaction(client, async () => {
      const target = targetOf(context, config);
      await insertSource(client, { name: config.name, kind: config.kind, mappings: config.schemaMappings, target });
      const source = await getSource(client, config.name);
      const followed: TableRow[] = [];
      for (const { reason, ...table } of judged) {
        const row = await putTable(client, source, { ...table, routing: { kind: 'one' } });
        if (reason === null) {
          followed.push(row);
          await setCopied(client, row.id, { all: place.ordinal, column: null, ranges: [] }, []);
        } else await setTableState(client, row.id, 'aside', reason);
      }
      await setConsistency(client, source, place.ordinal, true);
      await setStatus(client, source, 'stopped');
      await context.servers.with(server, (there) =>
        inTransaction(there, async () => {
          for (const { id, version, source: from, target: to } of followed)
            await putStructure(there, source.key, { tableId: id, version, source: from, target: to });
          await setPosition(there, source.key, place);
          await retireChameleonSource(there, theirs);
        }),
      );
    }),
  );
}
