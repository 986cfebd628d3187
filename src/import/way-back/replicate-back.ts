import { ServerApplier } from '../apply/server-applier.ts';
import { listTables, type TableRow } from '../catalogue/table-rows.ts';
import { ImportError } from '../errors.ts';
import type { Position } from '../model/position.ts';
import { PostgresSource } from '../postgres/postgres-source.ts';
import type { ChangeStream, ImportSource } from '../source/import-source.ts';
import { BatchQueue } from '../stream/batch-queue.ts';
import { FollowedTables } from '../stream/followed-tables.ts';
import { RowSink } from '../stream/row-sink.ts';
import type { StatementHost } from '../stream/statement-host.ts';
import { serversOf } from '../workers/load-tables.ts';
import { ReadWorker } from '../workers/read-worker.ts';
import { ReadAgain, ReplayWorker } from '../workers/replay-worker.ts';
import type { ReplicaParts } from '../workers/replica.ts';
import { together } from '../workers/together.ts';
import { backKey, backSlot, OLD_DATABASE } from './back-names.ts';
import { BackTables, backPlaces } from './back-tables.ts';
import { oldDatabase, writeAsStream } from './old-database.ts';

/** Told how far each server's changes are in the old database. */
export type BackObserver = (server: string, position: Position) => void;

/**
 * Brings what is changed in the shards to the old database until stopped: one stream for each server, each with its
 * position beside the rows. Whatever cannot be applied ends it; the servers keep their logs, and nothing is lost.
 */
export async function replicateBack(
  parts: ReplicaParts,
  signal: AbortSignal,
  onPosition: BackObserver = () => {},
): Promise<void> {
  const { context, config, source } = parts;
  const rows = await context.control((client) => listTables(client, source));
  const old = oldDatabase(config);
  try {
    await together(serversOf(context, config), signal, async (server, until) => {
      while (!until.aborted) {
        try {
          await serverBack(parts, server, rows, { old, signal: until, onPosition });
        } catch (error) {
          if (!(error instanceof ReadAgain)) throw error;
        }
      }
    });
  } finally {
    await old.close();
  }
}

/** The stream of a server for the way back. */
export function backSource(
  { context, config }: Pick<ReplicaParts, 'context' | 'config'>,
  server: string,
  relations?: BackTables,
): PostgresSource {
  const settings = context.config.topology.servers.get(server)!;
  return new PostgresSource({ settings, slot: backSlot(config), setsIdentity: false, relations });
}

async function serverBack(
  parts: ReplicaParts,
  server: string,
  rows: readonly TableRow[],
  { old, signal, onPosition }: { old: ReturnType<typeof oldDatabase>; signal: AbortSignal; onPosition: BackObserver },
): Promise<void> {
  const { context, config, source, reporter } = parts;
  const key = backKey(source, server);
  const name = `${config.name}, back from ${server}`;
  const applier = new ServerApplier({
    servers: old,
    server: OLD_DATABASE,
    source: { ...source, name, key },
    aside: new Set(),
    synchronous: true,
    prepare: (client, until) =>
      writeAsStream(client, key, { signal: until, onLong: (message) => context.log.warn(`${name}: ${message}`) }),
    onLostView: () => {},
    onFailures: () => Promise.resolve(),
  });
  await applier.open({ signal });
  try {
    onPosition(server, applier.position);
    const queue = new BatchQueue();
    const tables = new BackTables(backPlaces(context, config, rows, server));
    let stream: ChangeStream | null = null;
    let handedOver: Position | null = null;
    const reader = new ReadWorker({
      name,
      openSource: (): Promise<ImportSource> => Promise.resolve(backSource(parts, server, tables)),
      follow: () => ({
        tables: new FollowedTables(),
        statements: NO_STATEMENTS,
        sink: new RowSink(),
        queue,
        events: {
          setAside: (table, reason) => {
            throw new ImportError('WAY_BACK', `${table.source.schema}.${table.source.name}: ${reason}`);
          },
          statement: () => {},
          caughtUp: () => reporter.caughtUp(),
          handedOver: (batch) => {
            handedOver = batch.end;
          },
        },
        maxRows: config.replayMaxRows,
        heartbeatMs: Math.max(200, config.sleepLoopMs),
      }),
      start: applier.position,
      queue,
      tables: new FollowedTables(),
      isAside: () => false,
      lastHandedOver: () => handedOver,
      onStream: (opened) => {
        stream = opened;
      },
      log: context.log,
    });
    const replay = new ReplayWorker({
      name,
      appliers: [applier],
      take: (until) => queue.take({ signal: until }),
      onErrorReplay: 'exit',
      isolate: false,
      whenAllowed: (until) => reporter.whenAllowed(until),
      onApplied: (_batch, position) => {
        stream?.confirm(position);
        onPosition(server, position);
        return Promise.resolve();
      },
      log: context.log,
    });
    await together([reader, replay], signal, (worker, until) => worker.run(until));
  } finally {
    await applier.close();
  }
}

/** Structures do not change on the way back. */
const NO_STATEMENTS = {
  wants: () => false,
  mapsSchema: () => false,
} as unknown as StatementHost;
