import { sleep } from '../../internal/sleep.ts';
import { deleteLog, nextLog } from '../catalogue/log-rows.ts';
import { listTables } from '../catalogue/table-rows.ts';
import type { Batch } from '../stream/batch.ts';
import { restoreBatch } from '../stream/stored-batch.ts';
import { ReadAgain, ReplayWorker } from './replay-worker.ts';
import { AppliedBatches, openAppliers, type ReplicaParts } from './replica.ts';
import { withoutForeignKeys } from './without-foreign-keys.ts';

/** How often an empty log is looked at. */
const POLL_MS = 100;

/** Applies what stands in the log of changes, and takes it out when all servers have it. */
export async function replayFromLog(parts: ReplicaParts, signal: AbortSignal): Promise<void> {
  await withoutForeignKeys(parts.context, parts.config, parts.source);
  await parts.notes.everyDependent();
  for (let isolate = false; !signal.aborted; ) {
    try {
      await logSession(parts, signal, isolate);
    } catch (error) {
      if (!(error instanceof ReadAgain)) throw error;
      isolate = error.isolate;
    }
  }
}

async function logSession(parts: ReplicaParts, signal: AbortSignal, isolate: boolean): Promise<void> {
  const { context, config, source, reporter, notes } = parts;
  const appliers = await openAppliers(parts, signal);
  const applied = new AppliedBatches(parts, appliers, { structuresAreRead: true });
  // What was set aside by an earlier run may still stand in the log
  for (const { id, state } of await context.control((client) => listTables(client, source))) {
    if (state === 'aside') notes.aside.add(id);
  }
  let last = 0n;
  const take = async (until: AbortSignal): Promise<Batch> => {
    for (;;) {
      const next = await context.control((client) => nextLog(client, source, last));
      if (next !== null) {
        last = next.segment;
        return restoreBatch(next.payload, ({ server, schema, shard }) =>
          shard === null ? context.places.schema(server, schema) : context.places.shard(shard),
        );
      }
      await sleep(POLL_MS, { signal: until, what: 'waiting for changes' });
    }
  };
  const replay = new ReplayWorker({
    name: config.name,
    appliers,
    take,
    onErrorReplay: config.onErrorReplay,
    isolate,
    whenAllowed: async (until) => {
      await reporter.whenAllowed(until);
      await notes.settle(until);
    },
    onApplied: async (batch, position) => {
      await context.control((client) => deleteLog(client, source, last));
      last = 0n;
      await applied.note(batch, position);
    },
    log: context.log,
  });
  try {
    await replay.run(signal);
  } finally {
    await Promise.all(appliers.map((applier) => applier.close()));
  }
}
