// After two deaths of its consumers the events of a slice are dealt out one by one, each written down before the next.
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { freshStore } from './event-store.ts';

const SHARD = 1;
const STREAMS = 6;

test('with care the slices of a shard go on beside each other, whichever has the next event', async () => {
  const { store, database } = await freshStore({ pollMs: 50 });
  await store.createSubscription('careful', 'pony-*', { startFrom: 'beginning', partitions: 4 });
  const { rowCount } = await database.query(
    `update shard0001.hv_slices set owner = $1, expires_at = now() - interval '1 day', crashes = 1, taken_at = position`,
    [randomUUID()],
  );
  expect(rowCount).toBe(4);
  const sub = await store.connectSubscription('careful', 'pony-*');
  const seen: number[] = [];
  const work = (async () => {
    for await (const event of sub.events) {
      await sub.ack(event);
      seen.push(event.json());
    }
  })().catch((error: unknown) => error);
  for (let n = 0; n < 24; n++) {
    await store.publishEvent(`pony-${n % STREAMS}`, 'T', { body: n, shardId: SHARD });
    // one at a time: what comes next finds every slice read up to its end
    await waitFor(() => seen.length === n + 1, { timeoutMs: 5_000, what: `event ${n} being worked off` });
  }
  expect(seen).toEqual(Array.from({ length: 24 }, (_, n) => n));
  await sub.close();
  expect(await work).toBe(undefined);
});
