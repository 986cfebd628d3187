import { expect, test } from 'vitest';
import { idRange, Key } from '../../src/core/index.ts';
import { SQLSTATE, SV } from '../../src/internal/sqlstate.ts';
import { rejection } from '../support/wait-for.ts';
import { duplicates, fakeClock, generatorDatabase, NEXT_ID, SEQUENCE, SHARD, TRUE_CLOCK } from './generator.ts';

const LIMIT = 2n ** 50n;

test('an id holds the time, the shard and a sequence value, and ids of a session ascend', async () => {
  const db = await generatorDatabase();
  const before = Date.now();
  const { rows } = await db.query(`select ${NEXT_ID} as id from generate_series(1, 5000)`);
  const after = Date.now();
  const keys = rows.map(({ id }) => new Key(id as string));
  expect(keys.every(({ shardId }) => shardId === SHARD)).toBe(true);
  // 5,000 ids may borrow up to 5 ms.
  expect(Math.min(...keys.map(({ created }) => created.getTime()))).toBeGreaterThanOrEqual(before - 16);
  expect(Math.max(...keys.map(({ created }) => created.getTime()))).toBeLessThanOrEqual(after + 6);
  expect(keys.map(({ id }) => id)).toEqual([...keys.map(({ id }) => id)].sort((a, b) => (a < b ? -1 : 1)));
  expect(duplicates(keys.map(({ id }) => id))).toBe(0);
});

test('next_ids gives as many as asked for, ascending, also over many chunks', async () => {
  const db = await generatorDatabase();
  const client = await db.client();
  for (const n of [0, 1, 2, 511, 512, 1022, 1023, 5_000]) {
    const { rows } = await client.query('select * from shard0005.next_ids($1) as id', [n]);
    const ids = rows.map(({ id }) => BigInt(id));
    expect(ids).toHaveLength(n);
    expect(duplicates(ids)).toBe(0);
    expect(ids).toEqual([...ids].sort((a, b) => (a < b ? -1 : 1)));
    expect(ids.every((id) => new Key(id).shardId === SHARD)).toBe(true);
  }
  for (const n of [-1, 1_000_001, null]) {
    const error = await rejection(client.query('select * from shard0005.next_ids($1)', [n]));
    expect(error.code).toBe('22023');
  }
});

test('what each row says by the clock lies in the padded range of ids', async () => {
  const db = await generatorDatabase();
  const client = await db.client();
  const rows: { before: Date; id: string; after: Date }[] = [];
  for (let turn = 0; turn < 40; turn++) {
    // Pauses on both sides of the 12 ms that the generator bears.
    await client.query('select pg_sleep($1)', [(turn % 10) * 0.003]);
    // The machine may stop the server between any two of these.
    const drawn = await client.query(
      'select clock_timestamp() as before, shard0005.next_id() as id, clock_timestamp() as after from generate_series(1, 20)',
    );
    rows.push(...drawn.rows);
  }
  for (const { before, id, after } of rows) {
    const { lowest, highest } = idRange(before, after, { padded: true });
    expect(BigInt(id) >= lowest && BigInt(id) <= highest).toBe(true);
    const ms = new Key(id).created.getTime();
    expect(ms).toBeGreaterThanOrEqual(before.getTime() - 16);
    expect(ms).toBeLessThanOrEqual(after.getTime());
  }
});

test('more than 1024 ids in a millisecond borrow from the next ones', async () => {
  const db = await generatorDatabase();
  await fakeClock(db, '400000000000');
  const { rows } = await db.query('select * from shard0005.next_ids(20000) as id');
  const keys = rows.map(({ id }) => new Key(id as string));
  const ahead = keys.map(({ id }) => Number(id >> 23n) - 400_000_000_000);
  expect(Math.min(...ahead)).toBe(0);
  expect(Math.max(...ahead)).toBe(19);
  expect(duplicates(keys.map(({ id }) => id))).toBe(0);
});

test('overflow of 4 s waits for the clock, and never becomes an error', async () => {
  const db = await generatorDatabase();
  const client = await db.client();
  await client.query(`select setval(${SEQUENCE}, (hypervault.clock_ms() + 3950) << 10)`);
  const started = Date.now();
  const { rows } = await client.query(
    `select count(distinct id)::integer as ids, max((id >> 23) - hypervault.clock_ms())::integer as lead
     from shard0005.next_ids(200000) as id`,
  );
  // 200,000 ids are 195 ms of positions, of which 50 were free.
  expect(Date.now() - started).toBeGreaterThanOrEqual(130);
  expect(rows[0].ids).toBe(200_000);
  expect(rows[0].lead).toBeLessThanOrEqual(4_000);
});

test('a clock stepped back by seconds freezes the time and goes on counting, without waiting', async () => {
  const db = await generatorDatabase();
  const client = await db.client();
  const drawn = async (): Promise<bigint[]> =>
    (await client.query(`select ${NEXT_ID} as id from generate_series(1, 3000)`)).rows.map(({ id }) => BigInt(id));
  const ids = await drawn();
  await fakeClock(db, `${TRUE_CLOCK} - 3500`);
  const started = Date.now();
  ids.push(...(await drawn()));
  expect(Date.now() - started).toBeLessThan(400);
  expect(duplicates(ids)).toBe(0);
  expect(ids).toEqual([...ids].sort((a, b) => (a < b ? -1 : 1)));
  await fakeClock(db, TRUE_CLOCK);
  ids.push(...(await drawn()));
  expect(duplicates(ids)).toBe(0);
});

test('a clock stepped back by more than 5 s is an error that may be tried again, and passes', async () => {
  const db = await generatorDatabase();
  const client = await db.client();
  const first = BigInt((await client.query(`select ${NEXT_ID} as id`)).rows[0].id);
  await fakeClock(db, `${TRUE_CLOCK} - 60000`);
  for (const sql of [`select ${NEXT_ID}`, 'select * from shard0005.next_ids(10)']) {
    const error = await rejection(client.query(sql));
    expect(error.code).toBe(SV.clockBehind);
    expect(Number(JSON.parse(error.detail as string).behindMs)).toBeGreaterThan(59_000);
    expect(error.hint).toMatch(/clock/);
  }
  await fakeClock(db, TRUE_CLOCK);
  const { rows } = await client.query(`select ${NEXT_ID} as id`);
  expect(BigInt(rows[0].id)).toBeGreaterThan(first);
});

test('a clock before the epoch is refused', async () => {
  const db = await generatorDatabase();
  await fakeClock(db, '-100000');
  expect((await rejection(db.query(`select ${NEXT_ID}`))).code).toBe(SV.clockBehind);
});

test('ids end before the sign bit, with an error and not with a negative id', async () => {
  const db = await generatorDatabase();
  const client = await db.client();
  const last = 2n ** 40n - 2n;
  await fakeClock(db, String(last));
  const { rows } = await client.query(`select ${NEXT_ID} as id`);
  expect(BigInt(rows[0].id) >> 23n).toBe(last);
  expect(BigInt(rows[0].id)).toBeGreaterThan(0n);
  await fakeClock(db, String(last + 20n));
  expect((await rejection(client.query(`select ${NEXT_ID}`))).code).toBe(SV.epochExhausted);
  // The same by counting instead of by the clock.
  await fakeClock(db, String(last));
  for (const position of [LIMIT - 1025n, LIMIT - 2n, LIMIT, LIMIT * 4n]) {
    await client.query(`select setval(${SEQUENCE}, $1)`, [position]);
    for (const sql of [`select ${NEXT_ID}`, 'select * from shard0005.next_ids(2)']) {
      expect((await rejection(client.query(sql))).code).toBe(SV.epochExhausted);
    }
  }
  // A chunk that begins at the last good position stays positive to its end.
  await client.query(`select setval(${SEQUENCE}, $1)`, [LIMIT - 1026n]);
  const chunk = await client.query('select min(id)::text as lowest from shard0005.next_ids(511) as id');
  expect(BigInt(chunk.rows[0].lowest)).toBeGreaterThan(0n);
});

test('a shard of more than 13 bits is refused, and so is a sequence that is not the shard’s', async () => {
  const db = await generatorDatabase();
  const client = await db.client();
  for (const shard of [8192, -1, 2 ** 31 - 1, null]) {
    const error = await rejection(client.query(`select hypervault.next_id(${SEQUENCE}, $1)`, [shard]));
    expect(error.code).toBe(SV.shardOutOfRange);
  }
  await client.query('create sequence public.mine');
  for (const [sequence, shard] of [
    ['public.mine', SHARD],
    ['shard0005.table_id_seq', 6],
  ]) {
    const error = await rejection(client.query('select hypervault.next_id_behind($1, $2)', [sequence, shard]));
    expect(error.code).toBe(SV.shardOutOfRange);
  }
  expect((await client.query('select last_value, is_called from public.mine')).rows).toEqual([
    { last_value: '1', is_called: false },
  ]);
});

test('a read-only transaction gets Postgres’ own error', async () => {
  const client = await (await generatorDatabase()).client();
  await client.query('begin read only');
  expect((await rejection(client.query(`select ${NEXT_ID}`))).code).toBe(SQLSTATE.readOnlySqlTransaction);
});

test('the wrapper is inlined, and only what catches up has the rights of its owner', async () => {
  const db = await generatorDatabase();
  const plan = await db.query(`explain (verbose, costs off) select ${NEXT_ID}`);
  expect(JSON.stringify(plan.rows)).toContain("hypervault.next_id('shard0005.table_id_seq'::regclass, 5)");
  const definers = await db.query(
    `select proname from pg_proc where prosecdef and proname like 'next\\_id%' and pronamespace::regnamespace::text in ('hypervault', 'shard0005')`,
  );
  expect(definers.rows).toEqual([{ proname: 'next_id_behind' }]);
});
