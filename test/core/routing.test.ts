import { describe, expect, it } from 'vitest';
import { checkRoutingSettings, shardFor, slotOf } from '../../src/core/routing.ts';
import { ConfigurationError, InvalidArgumentError } from '../../src/errors.ts';

/** Frozen: rows were stored by these. `printf '%s' KEY | md5sum | cut -c1-8`, as a number. */
const GOLDEN = [
  ['acme', 1_404_888_305],
  ['orders-7', 2_013_921_803],
  ['', 3_558_706_393],
  ['zürich', 202_847_911],
  ['🐘', 1_085_231_171],
] as const;

describe('routing', () => {
  it.each(GOLDEN)('hashes %j as ever', (key, hash) => {
    expect(slotOf(key, 16)).toBe(hash % 16);
    expect(slotOf(key, 512)).toBe(hash % 512);
    expect(slotOf(key, 8191)).toBe(hash % 8191);
    expect(shardFor(key, { slots: 16, firstShard: 1 })).toBe(1 + (hash % 16));
  });

  it('spreads keys evenly', () => {
    const counts = new Array<number>(16).fill(0);
    for (let i = 0; i < 16_000; i++) counts[slotOf(`tenant-${i}`, 16)]! += 1;
    expect(Math.min(...counts)).toBeGreaterThan(850);
    expect(Math.max(...counts)).toBeLessThan(1_150);
  });

  it.each([
    ['a\0b', /NUL/],
    ['\ud83d', /surrogate/],
    ['x\udc18', /surrogate/],
    [12, /not 12/],
    [null, /not null/],
    [undefined, /not undefined/],
  ])('refuses the key %j', (key, message) => {
    expect(() => slotOf(key as string, 16)).toThrow(InvalidArgumentError);
    expect(() => slotOf(key as string, 16)).toThrow(message);
  });

  it('checks its settings', () => {
    expect(checkRoutingSettings({ slots: 8192, firstShard: 0 })).toEqual({ slots: 8192, firstShard: 0 });
    expect(() => checkRoutingSettings({ slots: 0, firstShard: 0 })).toThrow(ConfigurationError);
    expect(() => checkRoutingSettings({ slots: 1.5, firstShard: 0 })).toThrow(/slots: 1.5/);
    expect(() => checkRoutingSettings({ slots: 1, firstShard: 8192 })).toThrow(/firstShard: 8192/);
    expect(() => checkRoutingSettings({ slots: 8192, firstShard: 1 })).toThrow(/reach past shard 8191/);
  });
});
