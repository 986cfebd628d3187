import { expect, test } from 'vitest';
import { Backoff } from '../../src/internal/backoff.ts';

test('pauses double up to the longest, each somewhere in its upper half, and begin anew after a reset', () => {
  const backoff = new Backoff({ baseMs: 1_000, maxMs: 32_000 });
  const full = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 32_000, 32_000];
  for (const ms of full) {
    const pause = backoff.next();
    expect(pause).toBeGreaterThan(ms / 2);
    expect(pause).toBeLessThanOrEqual(ms);
  }
  expect(backoff.failures).toBe(full.length);
  for (let more = 0; more < 2_000; more += 1) expect(backoff.next()).toBeLessThanOrEqual(32_000);
  backoff.reset();
  expect(backoff.next()).toBeLessThanOrEqual(1_000);
  expect(new Set(Array.from({ length: 20 }, () => new Backoff({ baseMs: 1_000 }).next())).size).toBeGreaterThan(1);
  expect(new Backoff({ baseMs: 1_000, jitter: 0 }).next()).toBe(1_000);
});
