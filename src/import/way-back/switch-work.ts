import type { Client } from 'pg';
import { TimeoutError } from '../../errors.ts';
import { linkSignals } from '../../internal/link-signals.ts';
import { lockSource, type SourceLock, underLock } from '../catalogue/lock.ts';
import { setPosition } from '../catalogue/position-rows.ts';
import type { Servers } from '../catalogue/servers.ts';
import {
  type Direction,
  getSource,
  type SourceRow,
  setDirection,
  setFlags,
  setStatus,
} from '../catalogue/source-rows.ts';
import { listTables, type TableRow } from '../catalogue/table-rows.ts';
import { type EngineContext, holding, sourceConfig } from '../commands/context.ts';
import { holdShards } from '../commands/hold-shards.ts';
import { stopReplica } from '../commands/stop-replica.ts';
import type { SourceConfig } from '../config/source-config.ts';
import { setSequences } from '../ddl/sequences.ts';
import { ReplicaStateError } from '../errors.ts';
import type { Position } from '../model/position.ts';
import { qualifiedName, type SourceTable } from '../model/source-table.ts';
import { routerOf, serversOf } from '../workers/load-tables.ts';
import { runReplica } from '../workers/replica.ts';
import { OLD_DATABASE } from './back-names.ts';
import { backSource, replicateBack } from './replicate-back.ts';

export interface SwitchOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long the last changes may take to arrive, while nobody can write. @default 600000 */
  readonly timeoutMs?: number | undefined;
  /** Switches although tables are set aside; goes back or finishes without the last changes. @default false */
  readonly force?: boolean | undefined;
}

/** What the steps of a switch share. */
export interface SwitchWork {
  readonly context: EngineContext;
  readonly config: SourceConfig;
  readonly source: SourceRow;
  /** The tables that are followed. */
  readonly rows: readonly TableRow[];
  /** Those that are not. */
  readonly aside: readonly TableRow[];
  /** Fires when the command is stopped, and when the lock is lost. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  readonly lock: SourceLock;
}

/** A table's place on a server. */
export interface ServerPlace {
  readonly schema: string;
  readonly name: string;
  readonly source: SourceTable;
}

/** Stops the replica and holds its lock for some work. */
export async function withStopped<Result>(
  engine: EngineContext,
  name: string,
  { signal, timeoutMs = 600_000 }: SwitchOptions,
  work: (work: SwitchWork) => Promise<Result>,
): Promise<Result> {
  const config = sourceConfig(engine, name);
  if (config.kind !== 'pgsql') {
    throw new ReplicaStateError(
      'only a Postgres source is switched and has a way back; a MySQL one ends with detach-replica',
    );
  }
  await stopReplica(engine, name, { signal });
  const known = await engine.control((client) => getSource(client, name));
  const lock = await lockSource(engine.servers, known, { waitMs: 5_000, signal });
  const { source } = lock;
  const context = holding(engine, source);
  return underLock(lock, signal, async (until) => {
    await holdShards(context, config, source);
    await context.control((client) => setFlags(client, source, { stopRequested: false, paused: false }));
    const all = await context.control((client) => listTables(client, source));
    const rows = all.filter(({ state }) => state === 'followed');
    const aside = all.filter(({ state }) => state !== 'followed');
    return await work({ context, config, source, rows, aside, signal: until, timeoutMs, lock });
  });
}

/** Says in the catalogue where rows live now. Nobody does who has lost the lock. */
export function turn({ lock, source, signal }: SwitchWork, direction: Direction): Promise<void> {
  signal.throwIfAborted();
  return lock.under((client) => setDirection(client, source, direction));
}

export function setStopped({ context, source }: SwitchWork): Promise<void> {
  return context.control((client) => setStatus(client, source, 'stopped'));
}

/** Runs the way back until everything that the target has now is in the old database. */
export async function bringBack({ context, config, source, signal, timeoutMs }: SwitchWork): Promise<void> {
  const wanted = new Map<string, bigint>();
  for (const server of serversOf(context, config)) {
    const reader = backSource({ context, config }, server);
    const { ordinal } = await reader.currentPosition().finally(() => reader.close());
    wanted.set(server, ordinal);
  }
  const done = new AbortController();
  using stop = linkSignals([done.signal, signal], timeoutMs);
  const onPosition = (server: string, { ordinal }: Position): void => {
    if (ordinal >= (wanted.get(server) ?? 0n)) wanted.delete(server);
    if (wanted.size === 0) done.abort();
  };
  await runReplica(context, config, source, {}, stop.signal, (parts, until) => replicateBack(parts, until, onPosition));
  if (wanted.size === 0) return;
  signal.throwIfAborted();
  throw new TimeoutError(
    `the changes of ${[...wanted.keys()].join(', ')} were not all in the old database within ${timeoutMs} ms`,
  );
}

/** A new slot on the source, from where it stands: everything before was written by us, and the target has it. */
export async function resumeForward({ context, config, source, rows }: SwitchWork): Promise<void> {
  const reader = await context.openSource(config);
  let place: Position;
  try {
    await reader.prepare!(rows, { exact: true });
    place = await reader.currentPosition();
  } finally {
    await reader.close();
  }
  for (const server of serversOf(context, config)) {
    await context.servers.with(server, (client) => setPosition(client, source.key, place));
  }
}

/** Lets the old database's sequences go on behind what the target has numbered. */
export async function moveSequencesOn({ context, config, rows }: SwitchWork, old: Servers): Promise<void> {
  const reader = await context.openSource(config);
  const now = await reader.readTables(Object.keys(config.schemaMappings)).finally(() => reader.close());
  const next = new Map(now.map((table) => [qualifiedName(table), table.nextNumber]));
  await old.with(OLD_DATABASE, async (client) => {
    for (const { source, target } of rows) {
      const columns = target.columns.map((column) => ({
        ...column,
        identity: source.columns.some(({ name, autoIncrement }) => name === column.name && autoIncrement),
      }));
      const table = { ...target, name: source.name, columns };
      await setSequences(client, table, source.schema, next.get(qualifiedName(source)) ?? null);
    }
  });
}

/** Visits every server with the places its rows are in. */
export async function eachServer(
  { context, config, rows }: SwitchWork,
  visit: (client: Client, places: readonly ServerPlace[]) => Promise<void>,
): Promise<void> {
  for (const server of serversOf(context, config)) {
    const places = rows.flatMap((row) =>
      routerOf(context, config, row)
        .destinations.filter((place) => place.server === server)
        .map(({ schema }) => ({ schema, name: row.target.name, source: row.source })),
    );
    await context.servers.with(server, (client) => visit(client, places));
  }
}
