import type { Client } from 'pg';
import type { ChangeStream, FollowOptions, LogRetention } from '../../source/import-source.ts';
import type { FollowedTable } from '../../stream/followed-table.ts';
import { RetentionWatch } from '../retention.ts';
import { explain } from '../session.ts';
import { ChangeReader } from './change-reader.ts';
import type { RelationFollower } from './relation-follower.ts';
import { StructureWatch, type StructureWatchOptions } from './structure-watch.ts';
import { WalStream } from './wal-stream.ts';

/** What knows the tables of a stream. */
export type RelationHost = Pick<RelationFollower, 'find' | 'truncate'>;

export interface FollowChangesOptions extends Omit<FollowOptions, 'statements'> {
  /** Name of the replication slot and of the publication. */
  readonly slot: string;
  /** `host:port`, for messages. */
  readonly label: string;
  readonly relations: RelationHost;
  readonly retention: () => Promise<LogRetention | null>;
  readonly flushedPlace: () => Promise<bigint>;
  /** Looks for changes of structure that no log tells; not on the way back, where only we change it. */
  readonly structures: Pick<StructureWatchOptions, 'read' | 'strangers' | 'moveOn'> | null;
}

/** How much the open batch may hold before it is handed over in the middle of a transaction. */
const MAX_BATCH_BYTES = 32 * 1024 * 1024;
/** Transactions with this beginning of their replication origin's name were written by us. */
export const ORIGIN_PREFIX = 'hypervault_';

/** Reads a slot's changes into batches until stopped. The replication session becomes the stream's. */
export function followChanges(client: Client, options: FollowChangesOptions): ChangeStream {
  const { start, tables, events, queue, sink, maxRows, heartbeatMs, slot, label, relations } = options;
  let end: { resolve: () => void; reject: (error: unknown) => void };
  const ended = new Promise<void>((resolve, reject) => {
    end = { resolve, reject };
  });
  ended.catch(() => {});
  let mark: bigint | undefined;
  let read = 0n;
  const setAside = (table: FollowedTable, reason: string): void => {
    tables.remove(table);
    events.setAside(table, reason, {});
  };
  const reader = new ChangeReader({
    start: start.ordinal,
    queue,
    sink,
    maxRows,
    maxBytes: MAX_BATCH_BYTES,
    isOwnOrigin: (name) => name.startsWith(ORIGIN_PREFIX),
    host: {
      relation: (batch, relation, at) => relations.find(batch, relation, at),
      truncate: (batch, some, at) => relations.truncate(batch, some, at),
      setAside: (table, reason) => setAside(table, reason instanceof Error ? reason.message : String(reason)),
      heard: (place) => {
        read = place;
        if (mark !== undefined && place >= mark) events.caughtUp();
      },
      handedOver: (batch) => events.handedOver(batch),
      failed: (error) => end.reject(explain(error, label)),
    },
  });
  const stream = WalStream.start(client, {
    slot,
    publication: slot,
    start: start.ordinal,
    handler: reader,
    heartbeatMs,
  });
  reader.flow.control(stream);
  const warn = (message: string): void => events.warn?.(message);
  const watch = new RetentionWatch(warn);
  const structures =
    options.structures === null
      ? null
      : new StructureWatch({
          ...options.structures,
          tables,
          warn,
          hasRead: (ordinal) => read >= ordinal,
          setAside: (table, reason) => {
            reader.forget(table);
            setAside(table, reason);
          },
        });
  // Whether the reader is at the end of the log is told by where the log ended a moment ago
  const ask = (): void => {
    if (watch.isDue)
      options.retention().then(
        (kept) => watch.look(kept),
        () => {},
      );
    if (structures?.isDue) void structures.look();
    options.flushedPlace().then(
      (place) => {
        mark = place;
      },
      (error: unknown) => end.reject(error),
    );
  };
  const asking = setInterval(ask, Math.max(heartbeatMs, 500));
  const stop = (): void => {
    clearInterval(asking);
    stream.stop();
  };
  ended.catch(() => {}).finally(stop);
  return {
    ended,
    confirm: ({ ordinal }) => stream.confirm(ordinal),
    stop: () => {
      stop();
      end.resolve();
      return Promise.resolve();
    },
  };
}
