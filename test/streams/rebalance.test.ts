// Consumers come and go while events are read: the slices of a group change hands again and again.
import { expect, test } from 'vitest';
import { NewEvent } from '../../src/streams/index.ts';
import { waitFor } from '../support/wait-for.ts';
import { freshStore } from './event-store.ts';

test('no event is passed by when slices are given back while a page is read', { timeout: 60_000 }, async () => {
  const { store } = await freshStore();
  const total = 6_000;
  await store.createSubscription('g', 'order-*', { startFrom: 'beginning', leaseMs: 200, readBatchSize: 7 });
  for (let i = 0; i < total; i += 200) {
    const bodies = Array.from({ length: 200 }, (_, n) => i + n);
    await Promise.all(
      Array.from({ length: 20 }, (_, s) =>
        store.publish(
          `order-${s}`,
          bodies.filter((body) => body % 20 === s).map((body) => new NewEvent('T', { body })),
        ),
      ),
    );
  }
  const seen = new Set<number>();
  const disorder: string[] = [];
  const last = new Map<string, number>();
  const over = new AbortController();
  const work = async (life: number): Promise<void> => {
    const sub = await store.connectSubscription('g', 'order-*', { maxInFlight: 2 });
    const end = setTimeout(() => void sub.close(), life);
    over.signal.addEventListener('abort', () => void sub.close());
    for await (const event of sub.events) {
      const body = event.json<number>();
      // again and again at a hand-over; but nothing for the first time behind what comes later in its stream
      if (!seen.has(body)) {
        if (body < (last.get(event.stream) ?? 0)) disorder.push(`${event.stream}: ${body}`);
        last.set(event.stream, body);
      }
      seen.add(body);
      await sub.ack(event);
      if (seen.size === total) break;
    }
    clearTimeout(end);
    await sub.close();
  };
  const staying = work(2 ** 30);
  while (seen.size < total * 0.9) await Promise.all([work(150), work(260), work(400)]);
  await waitFor(() => seen.size === total, { timeoutMs: 15_000 });
  over.abort();
  await staying;
  expect(disorder).toEqual([]);
});
