import type { Position } from '../model/position.ts';
import type { ChangeStream } from '../source/import-source.ts';
import type { BatchQueue } from '../stream/batch-queue.ts';
import type { FollowedTables } from '../stream/followed-tables.ts';
import { PreparedTransactions } from '../stream/prepared-transactions.ts';
import type { RowSink } from '../stream/row-sink.ts';
import { ReadWorker } from './read-worker.ts';
import type { ReplicaParts } from './replica.ts';
import { statementHost } from './statement-host.ts';

export interface ReadingOptions {
  readonly queue: BatchQueue;
  readonly tables: FollowedTables;
  readonly start: Position;
  readonly sink: RowSink;
  /** Whether the servers have PostGIS. */
  readonly postgis: boolean;
  /** At the start. */
  readonly prepared: ReadonlyMap<string, Buffer>;
  readonly onStream: (stream: ChangeStream | null) => void;
}

/** The worker that reads a source, with what it tells wired to the catalogue. */
export function readWorkerOf(parts: ReplicaParts, options: ReadingOptions): ReadWorker {
  const { context, config, source, notes, reporter } = parts;
  const { queue, tables, start, sink, postgis, onStream } = options;
  const prepared = new PreparedTransactions(options.prepared);
  let handedOver: Position | null = null;
  return new ReadWorker({
    name: config.name,
    openSource: () => context.openSource(config),
    follow: (opened) => ({
      tables,
      statements: statementHost(context, config, source, opened, { postgis, tables }),
      sink,
      queue,
      prepared,
      events: {
        setAside: (table, reason, details) => {
          tables.remove(table);
          notes.setAside(table, reason, { phase: 'read', ...details });
        },
        statement: (entry) => notes.statement(entry),
        warn: (message) => {
          context.log.warn(`${config.name}: ${message}`);
          context.notifier.notify({ level: 'warning', source: config.name, message });
        },
        caughtUp: () => reporter.caughtUp(),
        handedOver: (batch) => {
          tables.keep();
          prepared.keep();
          handedOver = batch.end;
          reporter.handedOver(batch);
        },
      },
      maxRows: config.replayMaxRows,
      heartbeatMs: Math.max(200, config.sleepLoopMs),
    }),
    start,
    queue,
    tables,
    prepared,
    isAside: (id) => notes.aside.has(id),
    lastHandedOver: () => handedOver,
    onStream,
    log: context.log,
  });
}
