import { appendLog, endOfLog, logOfPrepared, trimLog } from '../catalogue/log-rows.ts';
import { readPosition } from '../catalogue/position-rows.ts';
import { listPrepared } from '../catalogue/prepared-rows.ts';
import { givingNames, updateStructure } from '../catalogue/table-names.ts';
import { listTables, setDropped } from '../catalogue/table-rows.ts';
import { earliest } from '../snapshot/copy-job.ts';
import type { Batch } from '../stream/batch.ts';
import { BatchQueue } from '../stream/batch-queue.ts';
import { FollowedTables } from '../stream/followed-tables.ts';
import { RowSink } from '../stream/row-sink.ts';
import { preparedIn, storeBatch } from '../stream/stored-batch.ts';
import { followedFrom, loadTables, serversOf } from './load-tables.ts';
import { readWorkerOf } from './make-read-worker.ts';
import { hasPostgis } from './postgis.ts';
import type { ReplicaParts } from './replica.ts';
import { together } from './together.ts';

/**
 * Reads into the log of changes. A batch and the structures that the tables have after it are one transaction, so
 * that reading can begin again at the end of the log.
 */
export async function readIntoLog(parts: ReplicaParts, signal: AbortSignal): Promise<void> {
  const { context, config, source, notes } = parts;
  const servers = serversOf(context, config);
  await context.control((client) => trimLog(client, source));
  const logged = await context.control((client) => endOfLog(client, source));
  const positions = await Promise.all(
    servers.map((name) => context.servers.with(name, (client) => readPosition(client, source.key))),
  );
  const start = logged ?? earliest(positions.filter((row) => row !== null).map(({ position }) => position));
  // With an empty log the tables are as the servers have them, else as the catalogue does
  const tables = new FollowedTables(
    logged === null
      ? await loadTables(context, config, source, servers[0]!)
      : followedFrom(context, config, await context.control((client) => listTables(client, source))),
  );
  const queue = new BatchQueue();
  const reader = readWorkerOf(parts, {
    queue,
    tables,
    start,
    sink: new RowSink(),
    postgis: await hasPostgis(context, servers[0]!),
    prepared: await preparedAtEnd(parts, servers[0]!),
    onStream: () => {},
  });
  const writer = async (until: AbortSignal): Promise<void> => {
    while (!until.aborted) {
      const batch = await queue.take({ signal: until }).catch((error: unknown) => {
        if (until.aborted) return null;
        throw error;
      });
      if (batch === null) return;
      await notes.settle(until);
      if (batch.isReset) await context.control((client) => trimLog(client, source));
      else await append(parts, batch);
    }
  };
  await together([(until: AbortSignal) => reader.run(until), writer], signal, (work, until) => work(until));
}

/**
 * The XA transactions that are prepared where the log ends: those that a server has, and what the log says beyond. What is
 * applied meanwhile is in both; the log is looked at first, so nothing falls between.
 */
async function preparedAtEnd({ context, source }: ReplicaParts, server: string): Promise<Map<string, Buffer>> {
  const payloads = await context.control((client) => logOfPrepared(client, source));
  const prepared = await context.servers.with(server, (client) => listPrepared(client, source.key));
  for (const payload of payloads) {
    for (const { xid, held } of preparedIn(payload)) {
      if (held === null) prepared.delete(xid);
      else prepared.set(xid, held);
    }
  }
  return prepared;
}

async function append({ context, source }: ReplicaParts, batch: Batch): Promise<void> {
  const payload = storeBatch(batch);
  await context.control((client) =>
    givingNames(client, source, async () => {
      for (const round of batch.rounds) {
        if (round.kind !== 'structure') continue;
        if (round.after !== null) await updateStructure(client, source, round.after);
        else if (round.before !== null) await setDropped(client, round.before.id);
      }
      await appendLog(client, source, {
        complete: batch.complete,
        end: batch.end,
        changes: batch.changes,
        prepared: batch.prepared.length > 0,
        payload,
      });
    }),
  );
}
