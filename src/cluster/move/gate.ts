import { sleep } from '../../internal/sleep.ts';
import { MoveStalledError } from './errors.ts';
import { setUsage } from './grants.ts';
import { publish } from './links.ts';
import { Marker } from './marker.ts';
import type { Moving, Passage } from './moving.ts';
import { makeSlot } from './slot.ts';
import { skipWhatCame } from './way-back.ts';

/** So many markers in a row must arrive in time. */
const SAMPLES = 3;
const SAMPLE_EVERY_MS = 50;
/** A transaction that is there twice, this far apart, is one that a pause would wait for. */
const WRITER_LOOK_MS = 40;

/**
 * Waits until a pause will be a short one: rows arrive at once, several times in a row, and the way back is ready.
 */
export async function passGate(moving: Moving, passage: Passage): Promise<{ lagMs: number }> {
  const { schema, options, signal } = moving;
  if (passage.link === moving.links.forward) await prepareWayBack(moving);
  // Nobody is sent there yet; when the map says so, readers must be let in at once.
  await setUsage(passage.to.client, schema, moving.objects.usage ?? [], true);
  await announce(moving, passage);
  const marker = new Marker(schema, passage.from.client, passage.to.client);
  const deadline = performance.now() + options.pauseWithinMs;
  for (let inTime = 0, lagMs = 0; ; ) {
    const sent = performance.now();
    const left = Math.max(deadline - sent, options.maxLagMs);
    if (!(await marker.arrived(await marker.write(), left, signal))) {
      throw new MoveStalledError(
        moving.shardId,
        `${passage.to.name} is behind ${passage.from.name} for more than ${options.pauseWithinMs} ms (option pauseWithinMs)`,
      );
    }
    lagMs = performance.now() - sent;
    moving.report('gate', { lagMs });
    inTime = lagMs <= options.maxLagMs ? inTime + 1 : 0;
    if (inTime === SAMPLES) {
      // Most of it now, outside the pause.
      if (passage.link === moving.links.forward) await skipWhatCame(passage.to, moving.links.back);
      return { lagMs };
    }
    if (performance.now() > deadline) {
      throw new MoveStalledError(
        moving.shardId,
        `rows took ${Math.round(lagMs)} ms from ${passage.from.name} to ${passage.to.name}, more than maxLagMs (${options.maxLagMs})`,
      );
    }
    await sleep(SAMPLE_EVERY_MS, { signal, what: 'the gate of a move' });
  }
}

/** Programs make sessions ready on the new server; and what the flip of the map will do has then been done once. */
async function announce({ store, shardId, row, options, signal }: Moving, { from, to }: Passage): Promise<void> {
  const comment = `move ${row.id}: shard ${shardId} goes from ${from.name} to ${to.name}`;
  await store.announce({ shardId, server: to.name }, { author: options.author, comment }, { signal });
}

/** The log for the way back is kept from before the flip, so that nothing written after it is missing. */
async function prepareWayBack(moving: Moving): Promise<void> {
  const { target, schema, links, objects, options } = moving;
  if (!options.wayBack) return;
  await publish(target.client, links.back, schema, objects.tables ?? []);
  await makeSlot(moving, target, links.back, 'gate');
}

/** Waits until no long transaction has written to the shard: a pause would make everybody wait for it. */
export async function waitForLongWriters(moving: Moving, passage: Passage, deadline: number): Promise<void> {
  const { schema, signal } = moving;
  for (let told = false; ; told = true) {
    const before = await writers(passage, schema);
    if (before.size === 0) return;
    await sleep(WRITER_LOOK_MS, { signal, what: 'waiting for a long transaction' });
    const stayed = [...(await writers(passage, schema))].filter((transaction) => before.has(transaction));
    if (stayed.length === 0) return;
    if (!told) moving.report('pause', { note: 'waiting for a transaction that has written to the shard and is open' });
    if (performance.now() > deadline) {
      throw new MoveStalledError(
        moving.shardId,
        `a transaction on ${passage.from.name} that has written to the shard stays open (virtual transaction ${stayed[0]})`,
      );
    }
  }
}

async function writers({ from }: Passage, schema: string): Promise<Set<string>> {
  const { rows } = await from.client.query<{ writer: string }>('select hypervault.move_writers($1) as writer', [
    schema,
  ]);
  return new Set(rows.map(({ writer }) => writer));
}
