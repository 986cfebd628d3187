// The heart of it: positions given after commit lose no event and give none twice, whatever the writers do.
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { install } from '../../src/core/index.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

const RUN_MS = Number(process.env.HYPERVAULT_LOSS_MS ?? 4_000);

async function shardDatabase(): Promise<TestDatabase> {
  const database = await freshDatabase();
  await install([{ ...database.connection, shards: '1-2' }], { modules: ['core', 'streams'] });
  return database;
}

async function session(database: TestDatabase): Promise<pg.Client> {
  const client = new pg.Client(database.connection);
  client.on('error', () => {});
  await client.connect();
  onTestFinished(() => client.end());
  await client.query('set search_path = shard0001');
  return client;
}

async function append(client: pg.Client, stream: string, count: number): Promise<void> {
  const of = <T>(make: () => T): T[] => Array.from({ length: count }, make);
  await client.query({
    name: 'append',
    text: 'select * from hv_append_one($1, -2, false, $2, $3, $4, $5, $6)',
    values: [stream, of(randomUUID), of(() => 'T'), of(() => '{}'), of(() => null), of(() => null)],
  });
}

const pass = async (client: pg.Client, max = 20_000): Promise<{ given: number; busy: boolean; more: boolean }> =>
  (await client.query('select * from hv_sequence($1)', [max])).rows[0];

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test('no event is lost or given twice: 16 writers with rollbacks, savepoints and long transactions, 3 passers', {
  timeout: RUN_MS + 60_000,
}, async () => {
  const database = await shardDatabase();
  const until = Date.now() + RUN_MS;
  const writer = async (i: number): Promise<void> => {
    const client = await session(database);
    // enough of them also on a machine that does much else
    for (let n = 0; Date.now() < until || n < 20; n++) {
      const stream = `w${i}-${n % 5}`;
      const dice = Math.random();
      if (dice < 0.7) {
        await append(client, stream, 1);
        continue;
      }
      await client.query('begin');
      await append(client, stream, 2);
      await client.query('savepoint here');
      await append(client, `x${i}-9`, 1);
      if (dice > 0.8) await client.query('rollback to here');
      if (dice > 0.95) await pause(30 + Math.random() * 300);
      await client.query(Math.random() < 0.6 ? 'commit' : 'rollback');
    }
  };
  let writing = true;
  const passer = async (): Promise<void> => {
    const client = await session(database);
    while (writing) {
      await pass(client, Math.random() < 0.2 ? 7 : 20_000);
      if (Math.random() < 0.3) await pause(Math.random() * 10);
    }
    while ((await pass(client)).busy) await pause(5);
  };
  const seen = new Map<string, string>();
  let twice = 0;
  let gaps = 0;
  const reader = async (): Promise<void> => {
    const client = await session(database);
    for (let position = 0, last = false; ; ) {
      const final: boolean = !writing && last;
      last = !writing;
      const { rows } = await client.query('select pos, event from hv_all where pos > $1 order by pos limit 500', [
        position,
      ]);
      for (const row of rows) {
        if (Number(row.pos) !== position + 1) gaps += 1;
        position = Number(row.pos);
        if (seen.has(row.event)) twice += 1;
        seen.set(row.event, row.pos);
      }
      if (rows.length > 0) continue;
      if (final) return;
      await pause(20);
    }
  };
  const others = [passer(), passer(), passer(), reader()];
  await Promise.all(Array.from({ length: 16 }, (_, i) => writer(i)));
  const last = await session(database);
  while ((await pass(last)).busy) await pause(5);
  await pass(last);
  writing = false;
  await Promise.all(others);

  const stored = await last.query('select id from hv_events');
  const lost = stored.rows.filter(({ id }) => !seen.has(id));
  expect(stored.rows.length).toBeGreaterThan(200);
  expect({ lost: lost.length, twice, gaps, extra: seen.size - stored.rows.length }).toEqual({
    lost: 0,
    twice: 0,
    gaps: 0,
    extra: 0,
  });
  const order = await last.query(
    `select count(*)::int as broken
       from (select number - lag(number) over (partition by e.stream order by a.pos) as step
             from hv_all a join hv_events e on e.id = a.event) s
       where step <> 1`,
  );
  expect(order.rows[0].broken).toBe(0);
});

test('a transaction left open delays its own events and nobody else’s', async () => {
  const database = await shardDatabase();
  const [idle, open, other] = [await session(database), await session(database), await session(database)];
  await idle.query('begin');
  await idle.query('create temporary table unrelated as select pg_current_xact_id()');
  await open.query('begin');
  await append(open, 'slow', 1);
  for (let i = 0; i < 50; i++) await append(other, `s-${i}`, 1);
  expect((await pass(other)).given).toBe(50);
  await append(other, 's-1', 1);
  expect((await pass(other)).given).toBe(1);
  await open.query('commit');
  expect((await pass(other)).given).toBe(1);
  expect((await pass(other)).given).toBe(0);
  const { rows } = await other.query(
    'select a.pos, s.name from hv_all a join hv_streams s on s.id = a.stream order by a.pos desc limit 1',
  );
  expect(rows[0]).toMatchObject({ pos: '52', name: 'slow' });
});

test('a rolled-back append leaves no trace', async () => {
  const database = await shardDatabase();
  const client = await session(database);
  await append(client, 's', 1);
  await client.query('begin');
  await append(client, 's', 3);
  await append(client, 'other', 3);
  await client.query('rollback');
  await append(client, 's', 1);
  expect((await pass(client)).given).toBe(2);
  const { rows } = await client.query('select number::int, pos::int from hv_events e join hv_all a on a.event = e.id');
  expect(rows).toEqual([
    { number: 0, pos: 1 },
    { number: 1, pos: 2 },
  ]);
});

test('a pass refuses to run where it could see an old picture, and one at a time is enough', async () => {
  const database = await shardDatabase();
  const [one, two] = [await session(database), await session(database)];
  await append(one, 's', 5);
  await one.query('begin isolation level repeatable read');
  expect(await rejection(pass(one))).toMatchObject({ code: 'SV040' });
  await one.query('rollback');
  await one.query('begin');
  expect(await pass(one)).toMatchObject({ given: 5, busy: false });
  expect(await pass(two)).toMatchObject({ given: 0, busy: true });
  await one.query('rollback');
  expect(await pass(two)).toMatchObject({ given: 5, busy: false });
});

test('a pass of limited size takes up where it left, in order', async () => {
  const database = await shardDatabase();
  const client = await session(database);
  await append(client, 'first', 1);
  await pass(client);
  for (let i = 0; i < 10; i++) await append(client, `s-${i}`, 10);
  for (let i = 0; i < 7; i++) expect(await pass(client, 15)).toMatchObject({ given: i < 6 ? 15 : 10, more: i < 6 });
  expect((await pass(client, 15)).given).toBe(0);
  const { rows } = await client.query(
    'select bool_and(ok) as ok from (select event > lag(event) over (order by pos) as ok from hv_all) s',
  );
  expect(rows[0].ok).toBe(true);
});

test('in another cluster every event is looked at once, and foreign transaction ids do no harm', async () => {
  const database = await shardDatabase();
  const client = await session(database);
  await append(client, 's', 20);
  expect((await pass(client, 12)).given).toBe(12);
  // as after a move or a restore: another cluster, whose transaction ids are elsewhere
  await client.query(`update hv_sequencer set system = 42, snapshot = '9000000000:9000000000:'`);
  await client.query(`update hv_events set xid = '8999999999'`);
  await append(client, 's', 1);
  expect((await pass(client)).given).toBe(9);
  for (let i = 0; i < 3; i++) {
    await append(client, 's', 2);
    expect((await pass(client)).given).toBe(2);
  }
  const { rows } = await client.query('select count(*)::int as count, max(pos)::int as head from hv_all');
  expect(rows[0]).toEqual({ count: 27, head: 27 });
});

test('an event of another cluster whose transaction id comes up here later is not given a second position', async () => {
  const database = await shardDatabase();
  const client = await session(database);
  await append(client, 's', 5);
  await pass(client);
  // as after a move: placed elsewhere, by transactions whose ids this cluster will reach in a moment
  await client.query(
    `update hv_sequencer set system = 42, snapshot = '9000000000:9000000000:';
     update hv_events set xid = (pg_current_xact_id()::text::bigint + 3 + number)::text::xid8`,
  );
  expect((await pass(client)).given).toBe(0);
  for (let i = 0; i < 12; i++) {
    await append(client, 's', 1);
    expect((await pass(client)).given).toBe(1);
  }
  const { rows } = await client.query('select count(*)::int as count, max(pos)::int as head from hv_all');
  expect(rows[0]).toEqual({ count: 17, head: 17 });
});

test('a writer that was open while a pass of limited size went by its ids is not passed by', async () => {
  const database = await shardDatabase();
  const [slow, client] = [await session(database), await session(database)];
  await append(client, 'first', 1);
  await pass(client);
  await slow.query('begin');
  await append(slow, 'slow', 2);
  for (let i = 0; i < 4; i++) await append(client, `s-${i}`, 5);
  expect(await pass(client, 15)).toMatchObject({ given: 15, more: true });
  await slow.query('commit');
  expect(await pass(client, 15)).toMatchObject({ given: 7, more: false });
  expect((await pass(client, 15)).given).toBe(0);
  const { rows } = await client.query(
    'select count(*)::int as count, count(distinct event)::int as events, max(pos)::int as head from hv_all',
  );
  expect(rows[0]).toEqual({ count: 23, events: 23, head: 23 });
});

test('the pick is by index, also when the table is large', async () => {
  const database = await shardDatabase();
  const client = await session(database);
  await client.query(
    `insert into hv_events (stream, number, uuid, xid, type)
     select 1, n, gen_random_uuid(), '100'::xid8, 'T' from generate_series(1, 20000) n`,
  );
  await client.query('select hv_sequence(40000)');
  await client.query("load 'auto_explain'");
  const plans: string[] = [];
  client.on('notice', ({ message }) => plans.push(message ?? ''));
  await client.query(
    'set auto_explain.log_min_duration = 0; set auto_explain.log_nested_statements = on; set client_min_messages = log',
  );
  await append(client, 's', 1);
  expect((await pass(client)).given).toBe(1);
  const picked = await waitFor(() =>
    plans.find((plan) => plan.includes('with picked as') && plan.includes('hv_events_xid')),
  );
  expect(picked).toContain('Index Scan using hv_events_xid');
  expect(picked).not.toContain('Seq Scan on hv_');
});

test('gathered appends of many streams in any order never wait for each other in a circle', async () => {
  const database = await shardDatabase();
  const until = Date.now() + 1_500;
  await Promise.all(
    Array.from({ length: 6 }, async () => {
      const client = await session(database);
      for (let round = 0; Date.now() < until; round++) {
        const streams = Array.from(
          { length: 12 },
          (_, i) => `g-${(i * 7 + Math.floor(Math.random() * 3)) % 30}-${round % 9}`,
        );
        const names = [...new Set(streams)].sort(() => Math.random() - 0.5);
        const each = <T>(make: (i: number) => T): T[] => names.map((_, i) => make(i));
        const { rows } = await client.query(
          'select outcome from hv_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)',
          [
            names,
            each(() => -2),
            each(() => false),
            each((i) => i + 1),
            each(() => 1),
            each((i) => i + 1),
            each(() => randomUUID()),
            each(() => 'T'),
            each(() => '{}'),
            each(() => null),
            each(() => null),
          ],
        );
        expect(rows.every(({ outcome }) => outcome === 'appended')).toBe(true);
      }
    }),
  );
  const { rows } = await database.query(
    'select count(*)::int as wrong from shard0001.hv_streams s where version + 1 <> (select count(*) from shard0001.hv_events e where e.stream = s.id)',
  );
  expect(rows[0].wrong).toBe(0);
});
