import { appendLog, endOfLog, logOfPrepared, trimLog } from '../catalogue/log-rows.ts';
import { readPosition } from '../catalogue/position-rows.ts';
import { listPrepared } from '../catalogue/prepared-rows.ts';
import { givingNames, updateStructure } from '../catalogue/table-names.ts';
import { listTables, setDropped } from '../catalogue/table-rows.ts';
import type { Position } from '../model/position.ts';
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
import { settleStructures } from './settle-structures.ts';
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
  // What was read ahead of the log by one that was killed
  if (logged === null) await settleStructures(context, config, source);
  const applied = new Map<string, bigint>();
  const positions: Position[] = [];
  for (const server of servers) {
    const row = await context.servers.with(server, (client) => readPosition(client, source.key));
    if (row === null) continue;
    positions.push(row.position);
    applied.set(server, row.position.ordinal);
  }
  const start = logged ?? earliest(positions);
  const even = positions.every(({ ordinal }) => ordinal === positions[0]!.ordinal);
  const behind = servers.find((server) => applied.get(server) === start.ordinal) ?? servers[0]!;
  // With an empty log the tables are as the servers have them, else as the catalogue does – where it is not ahead of the log
  const tables = new FollowedTables(
    logged === null
      ? await loadTables(context, config, source, behind)
      : followedFrom(context, config, await context.control((client) => listTables(client, source))),
  );
  const queue = new BatchQueue();
  const reader = readWorkerOf(parts, {
    queue,
    tables,
    start,
    // Batches that are in the log already end where those ended that the servers have, others need not
    sink: new RowSink(logged !== null || even ? undefined : applied),
    postgis: await hasPostgis(context, behind),
    prepared: await preparedAtEnd(parts, behind),
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
