import { beforeEach, describe, expect, test } from 'vitest';
import type { Datastore } from '../../src/core/index.ts';
import type { TestDatabase } from '../support/database.ts';
import { testDatastore } from '../support/datastore.ts';
import { rejection } from '../support/wait-for.ts';

const WORDS = ['b', 'a', 'B', 'é', '😀', '\uffee', 'ab', '', 'Z', null];

let db: Datastore;
let databases: readonly [TestDatabase, TestDatabase];

beforeEach(async () => {
  ({ db, databases } = await testDatastore());
  await db.fanOut(db.map.shards, async (cursor) => {
    await cursor.query('create table sales (city text, amount numeric, units bigint, at date)');
    for (const [n, word] of WORDS.entries()) {
      await cursor.query('insert into sales values ($1, $2, $3, $4)', [
        word,
        `${cursor.shardId}.${n}`,
        n,
        `2024-01-0${1 + (n % 9)}`,
      ]);
    }
  });
});

describe('across', () => {
  test('orders the rows of all shards together, with a limit', async () => {
    const { rows, failures } = await db.across<{ amount: string }>('select amount from sales', [], {
      orderBy: { column: 'amount', descending: true },
      limit: 12,
    });
    expect(rows.map(({ amount }) => amount)).toEqual([
      ...[9, 8, 7, 6, 5, 4, 3, 2, 1, 0].map((n) => `8.${n}`),
      '7.9',
      '7.8',
    ]);
    expect(failures).toEqual([]);
  });

  test('text is ordered by code point and NULL comes last, both ways', async () => {
    const order = async (descending: boolean) =>
      (
        await db.across<{ city: string }>('select distinct city from sales', [], {
          shards: [1, 8],
          orderBy: { column: 'city', descending },
        })
      ).rows.map((row) => row.city);
    const ascending = ['', 'B', 'Z', 'a', 'ab', 'b', 'é', '\uffee', '😀'];
    expect(await order(false)).toEqual([...ascending.flatMap((word) => [word, word]), null, null]);
    expect(await order(true)).toEqual([...ascending.reverse().flatMap((word) => [word, word]), null, null]);
  });

  test('puts aggregates together exactly', async () => {
    const text =
      'select city, count(*) as n, sum(amount) as amount, sum(units) as units, min(at) as first, max(amount) as top from sales where units < $1; ';
    const { rows } = await db.across(`${text.replace(/; $/, '')} group by city;`, [3], {
      combine: { n: 'count', amount: 'sum', units: 'sum', first: 'min', top: 'max' },
      orderBy: 'city',
    });
    expect(rows).toEqual([
      { city: 'B', n: 8n, amount: '37.6', units: '16', first: new Date(2024, 0, 3), top: '8.2' },
      { city: 'a', n: 8n, amount: '36.8', units: '8', first: new Date(2024, 0, 2), top: '8.1' },
      { city: 'b', n: 8n, amount: '36.0', units: '0', first: new Date(2024, 0, 1), top: '8.0' },
    ]);
    const [all] = (await db.across('select count(*) as n from sales', [], { combine: { n: 'sum' } })).rows;
    expect(all).toEqual({ n: 80n });
  });

  test('a failed shard fails the call, or is listed beside what could be had', async () => {
    await databases[0].query('drop table shard0002.sales');
    const thrown = await rejection(db.across('select 1 from sales'));
    expect(thrown).toMatchObject({ code: 'SHARD_FAILURES', cause: { code: '42P01' } });
    const { rows, failures } = await db.across('select count(*) as n from sales', [], {
      onError: 'partial',
      combine: { n: 'sum' },
    });
    expect(rows).toEqual([{ n: 70n }]);
    expect(failures).toMatchObject([{ shardId: 2, error: { code: '42P01' } }]);
  });

  test('what does not answer in time is a failure of its shard', async () => {
    const text = `select case when current_schema() = 'shard0003' then pg_sleep(20)::text end as slept`;
    const started = performance.now();
    const { rows, failures } = await db.across(text, [], { timeoutMs: 300, onError: 'partial' });
    expect(performance.now() - started).toBeLessThan(3_000);
    expect(rows).toHaveLength(7);
    expect(failures).toMatchObject([{ shardId: 3, error: { code: 'TIMEOUT' } }]);
    expect(db.stats().a!.lent).toBe(0);
  });

  test.each<[string, object, RegExp]>([
    ['a column that is not there', { orderBy: 'nothing' }, /no column "nothing"; it has city/],
    ['a combination that is none', { combine: { city: 'avg' } }, /combine: city must be one of/],
    ['a negative limit', { limit: -1 }, /limit/],
    ['an unknown onError', { onError: 'ignore' }, /onError/],
    ['an unknown shard', { shards: [99] }, /shard 99/],
  ])('refuses %s', async (_, options, message) => {
    expect((await rejection(db.across('select city from sales', [], options))).message).toMatch(message);
  });
});

describe('find and scan', () => {
  test('come in the order of ids over all shards, page by page', async () => {
    const keys = (
      await Promise.all(
        db.map.shards.map((s) =>
          db.putMany(
            s,
            s % 2,
            Array.from({ length: 600 }, (_, n) => ({ n: String(n % 5) })),
          ),
        ),
      )
    ).flat();
    const seen: bigint[] = [];
    for await (const { key } of db.scan()) seen.push(key.id);
    expect(seen).toEqual(keys.map(({ id }) => id).sort((a, b) => (a < b ? -1 : 1)));
    const down: bigint[] = [];
    for await (const { key } of db.find({ orderBy: '-created', kind: 1, contains: { n: '3' } })) down.push(key.id);
    expect(down).toHaveLength(4 * 120);
    expect(down).toEqual([...down].sort((a, b) => (a < b ? 1 : -1)));
    const pages: bigint[] = [];
    let after = undefined as Awaited<ReturnType<typeof db.put>> | undefined;
    for (let more = true; more; ) {
      more = false;
      for await (const { key } of db.find({ after, limit: 1_000 })) {
        pages.push(key.id);
        after = key;
        more = true;
      }
    }
    expect(pages).toEqual(seen);
  });

  test('a time range has what was made in it, and leaving early frees the clients', async () => {
    const a = await db.put(1, 1, { n: 'a' });
    const b = await db.put(6, 1, { n: 'b' });
    const all: string[] = [];
    for await (const { body } of db.scan({ from: a.created, to: new Date(b.created.getTime() + 1) })) all.push(body.n!);
    expect(all.sort()).toEqual(['a', 'b']);
    for await (const { body } of db.scan({ to: a.created })) all.push(body.n!);
    expect(all).toHaveLength(2);
    for await (const _ of db.scan()) break;
    expect([db.stats().a!.lent, db.stats().b!.lent].every((lent) => lent <= 2)).toBe(true);
  });
});

describe('fanOut', () => {
  test('runs on each shard and says what failed', async () => {
    const { results, failures } = await db.fanOut(
      [8, 1, 1],
      async (cursor) => {
        if (cursor.shardId === 8) throw new Error('mine');
        return cursor.schema;
      },
      { onError: 'partial' },
    );
    expect([...results]).toEqual([[1, 'shard0001']]);
    expect(failures).toMatchObject([{ shardId: 8, error: { message: 'mine' } }]);
  });

  test('a signal ends it', async () => {
    const stop = new AbortController();
    const all = rejection(db.fanOut([1, 2], (cursor) => cursor.query('select pg_sleep(20)'), { signal: stop.signal }));
    stop.abort();
    expect((await all).code).toBe('ABORTED');
  });
});
