import { describe, expect, it } from 'vitest';
import { shardMapOf } from '../../src/core/connection-entry.ts';
import { ShardRangeError, UnknownShardError } from '../../src/core/errors.ts';
import { ShardMap } from '../../src/core/shard-map.ts';
import { isShardMapSource, staticShardMapSource } from '../../src/core/shard-map-source.ts';
import { ConfigurationError, InvalidArgumentError } from '../../src/errors.ts';

const map = shardMapOf([
  { name: 'eu1', host: 'db1', shards: '1-9' },
  { name: 'eu2', host: 'db2', shards: '12-16,9-10' },
]);

describe('ShardMap', () => {
  it('finds the server of a shard', () => {
    expect(map.serverOf(1).name).toBe('eu1');
    expect(map.serverOf(8).name).toBe('eu1');
    expect(map.serverOf(9).name).toBe('eu2');
    expect(map.serverOf(15).connection).toEqual({ host: 'db2' });
    expect(map.has(15)).toBe(true);
    expect(map.has(16)).toBe(false);
  });

  it('says what it covers', () => {
    expect(map.ranges).toBe('1-10,12-16');
    expect(map.shards).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15]);
    expect(map.epoch).toBe(0n);
    expect(new ShardMap([], { epoch: 7n }).epoch).toBe(7n);
  });

  it.each([0, 10, 11, 16, -1, 8192, 2 ** 31])('refuses shard %s, which nobody holds', (shardId) => {
    const look = (): unknown => map.serverOf(shardId);
    expect(look).toThrow(UnknownShardError);
    expect(look).toThrow(`no server holds shard ${shardId}; shards known: 1-10,12-16 (half-open)`);
  });

  it.each([1.5, Number.NaN, '1', 1n, null, undefined, {}])('refuses %s, which is no shard', (shardId) => {
    expect(() => map.serverOf(shardId as number)).toThrow(InvalidArgumentError);
    expect(map.has(shardId as number)).toBe(false);
  });

  it('refuses two servers that claim one shard, naming both', () => {
    const make = (): unknown =>
      shardMapOf([
        { name: 'eu1', shards: '1-9' },
        { name: 'eu2', shards: '8-12' },
      ]);
    expect(make).toThrow(ShardRangeError);
    expect(make).toThrow('shard 8 is claimed twice: by server "eu1" (1-9) and by server "eu2" (8-12)');
  });

  it('looks a shard up in well under 50 ns among 8,192', () => {
    const full = shardMapOf(
      Array.from({ length: 64 }, (_, i) => ({ name: `s${i}`, shards: `${i * 128}-${(i + 1) * 128}` })),
    );
    let found = 0;
    const times = Array.from({ length: 5 }, () => {
      const start = process.hrtime.bigint();
      for (let i = 0; i < 1_000_000; i++) if (full.serverOf((i * 37) & 8191).ranges.length === 1) found++;
      return Number(process.hrtime.bigint() - start) / 1_000_000;
    });
    expect(found).toBe(5_000_000);
    expect(Math.min(...times)).toBeLessThan(50);
  });
});

describe('shardMapOf', () => {
  it('names entries by where they are, without the password', () => {
    const names = shardMapOf([
      { host: 'db1', port: 5433, database: 'app', shards: '1-2' },
      { connectionString: 'postgres://me:secret@db2:6000/app?sslmode=require', shards: '2-3' },
      { hosts: ['a', 'b:5433'], shards: '3-4' },
      { shards: '4-5' },
      { shards: '5-6' },
    ]).servers.map(({ name }) => name);
    expect(names).toEqual(['db1:5433/app', 'db2:6000/app', 'a+b:5433', 'localhost', 'localhost #5']);
  });

  it.each([
    [[], /the list is empty/],
    [{}, /give a list/],
    [[null], /connections\[0\] is not an object/],
    [[{ host: 'a' }], /connections\[0\] \(a\): shards is missing/],
    [[{ host: 'a', shards: '1-9', pasword: 'x' }], /unknown key "pasword"; did you mean "password"/],
    [
      [
        { name: 'a', shards: '1-2' },
        { name: 'a', shards: '2-3' },
      ],
      /two servers are named "a"/,
    ],
    [[{ name: '', shards: '1-2' }], /name is not a text/],
    [[{ name: 'a', shards: '9-1' }], /connections\[0\] \(a\): the range 9-1 is reversed/],
  ])('refuses %j', (bad, message) => {
    expect(() => shardMapOf(bad as [])).toThrow(ConfigurationError);
    expect(() => shardMapOf(bad as [])).toThrow(message);
  });
});

describe('staticShardMapSource', () => {
  it('always gives the same map', async () => {
    const source = staticShardMapSource(map);
    expect(source.current).toBe(map);
    expect(await source.refresh()).toBe(map);
    source.changed(() => expect.unreachable())();
    expect(isShardMapSource(source)).toBe(true);
    expect(isShardMapSource([])).toBe(false);
  });
});
