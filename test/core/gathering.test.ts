import { expect, test } from 'vitest';
import type { Key, StatementEvent } from '../../src/core/index.ts';
import { testDatastore } from '../support/datastore.ts';
import { waitFor } from '../support/wait-for.ts';

test('many callers share a few round trips, and each gets its own row', async () => {
  const { db } = await testDatastore();
  const keys = await Promise.all(Array.from({ length: 400 }, (_, n) => db.put(1 + (n % 8), 1, { n: String(n) })));
  const before = db.stats().a!.batches;
  const got = await Promise.all(keys.map((key) => db.get(key)));
  expect(got.map((entity) => entity?.body.n)).toEqual(keys.map((_, n) => String(n)));
  expect(db.stats().a!.batches - before).toBeLessThan(10);
});

test('one caller alone sends one statement for one row', async () => {
  const seen: StatementEvent[] = [];
  const logger = { debug: (fields: object) => void seen.push(fields as StatementEvent), warn: () => {} };
  const { db } = await testDatastore({ logger });
  const key = await db.put(1, 1, { secret: 'hush' });
  seen.length = 0;
  await db.get(key);
  expect(seen.map(({ server, shardId, text }) => ({ server, shardId, text }))).toEqual([
    { server: 'a', shardId: 1, text: expect.stringMatching(/where id = \$1/) },
  ]);
  expect(seen[0]!.ms).toBeGreaterThan(0);
  expect(JSON.stringify(seen)).not.toContain('hush');
});

test('one bad row fails its own call and no other, and the good ones are stored once', async () => {
  const { db, databases } = await testDatastore();
  await databases[0].query(`alter table shard0002.entities add check (body -> 'n' <> '17')`);
  const outcomes = await Promise.allSettled(
    Array.from({ length: 100 }, (_, n) => db.put(1 + (n % 4), 1, { n: String(n) })),
  );
  const failed = outcomes.flatMap(({ status }, n) => (status === 'rejected' ? [n] : []));
  expect(failed).toEqual([17]);
  expect((outcomes[17] as PromiseRejectedResult).reason).toMatchObject({ code: '23514' });
  const stored = await Promise.all(
    [1, 2, 3, 4].map((s) => databases[0].query(`select count(*)::int as n from shard000${s}.entities`)),
  );
  expect(stored.map(({ rows }) => rows[0].n)).toEqual([25, 24, 25, 25]);
});

test('a shard without its table fails its own calls and no other', async () => {
  const { db, databases } = await testDatastore();
  const key = await db.put(1, 1, {});
  await databases[0].query('drop table shard0003.entities');
  const outcomes = await Promise.allSettled([db.put(1, 1, {}), db.put(3, 1, {}), db.put(4, 1, {}), db.get(key)]);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
  expect((outcomes[1] as PromiseRejectedResult).reason).toMatchObject({ code: '42P01' });
});

test('a row locked by somebody else delays its own update only', async () => {
  const { db, databases } = await testDatastore();
  const [held, free] = (await db.putMany(1, 1, [{ n: '0' }, { n: '0' }])) as [Key, Key];
  const blocker = await databases[0].client();
  await blocker.query('begin');
  await blocker.query('select * from shard0001.entities where id = $1 for update', [held.toString()]);
  let heldDone = false;
  const waiting = db.update(held, { n: '1' }).finally(() => {
    heldDone = true;
  });
  await db.update(free, { n: '1' });
  await db.put(1, 1, {});
  expect(heldDone).toBe(false);
  await blocker.query('commit');
  expect((await waiting)?.body).toEqual({ n: '1' });
});

test('more callers than maxQueued are refused at once', async () => {
  const { db } = await testDatastore({ maxQueued: 50 });
  const key = await db.put(1, 1, {});
  const outcomes = await Promise.allSettled(Array.from({ length: 60 }, () => db.get(key)));
  const refused = outcomes.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
  expect(refused).toHaveLength(10);
  expect(refused[0]!.reason).toMatchObject({ code: 'QUEUE_FULL', retryable: true });
});

test('with one client, gathered calls and cursors take turns', async () => {
  const { db } = await testDatastore({ poolMax: 1, poolBlockTimeoutMs: 4_000 });
  const key = await db.put(1, 1, { a: '1' });
  let on = true;
  let reads = 0;
  const readers = Array.from({ length: 20 }, async () => {
    while (on) {
      await db.get(key);
      reads += 1;
    }
  });
  for (let turn = 0; turn < 5; turn++) {
    await db.withCursor(1, (cursor) => cursor.query('select 1'));
    const before = reads;
    await waitFor(() => reads > before + 10);
  }
  on = false;
  await Promise.all(readers);
});

test.each([1, 2])(
  'with %i clients, reads, writes and cursors under way all the time each get their turn',
  async (poolMax) => {
    const { db } = await testDatastore({ poolMax, poolBlockTimeoutMs: 4_000 });
    const key = await db.put(1, 1, { a: '1' });
    const kinds = {
      read: () => db.get(key),
      write: () => db.put(1, 1, { b: '2' }),
      cursor: () => db.withCursor(1, (cursor) => cursor.query('select 1')),
    };
    const done = { read: 0, write: 0, cursor: 0 };
    let on = true;
    const callers = Object.entries(kinds).flatMap(([kind, call]) =>
      Array.from({ length: 8 }, async () => {
        while (on) {
          await call();
          done[kind as keyof typeof kinds] += 1;
        }
      }),
    );
    await waitFor(() => Math.min(...Object.values(done)) >= 100, {
      what: `every kind being served (${poolMax})`,
    }).finally(() => {
      on = false;
    });
    await Promise.all(callers);
  },
);

test('with one client, a call does not wait for the lane of the one before to grow cold', async () => {
  const { db } = await testDatastore({ poolMax: 1 });
  const started = performance.now();
  for (let turn = 0; turn < 3; turn++) {
    const key = await db.put(1, 1, { turn: String(turn) });
    await db.get(key);
    await db.withCursor(1, (cursor) => cursor.query('select 1'));
  }
  expect(performance.now() - started).toBeLessThan(2_000);
});

test('a table altered under way is read again with its new columns', async () => {
  const { db, databases } = await testDatastore<{ t: { id: bigint; a: number; b?: string } }>();
  await databases[0].query('create table shard0001.t (id bigint primary key default shard0001.next_id(), a int)');
  const t = db.table('t');
  const { id } = await t.insert({ a: 1 }, { shardId: 1 });
  expect(await t.get(id)).toEqual({ id, a: 1 });
  await databases[0].query(`alter table shard0001.t add b text default 'new'`);
  expect(await t.get(id)).toEqual({ id, a: 1, b: 'new' });
  await expect(t.update(id, { a: 2 })).resolves.toEqual({ id, a: 2, b: 'new' });
});

test('prepare: false sends no names', async () => {
  const { db, databases } = await testDatastore({ prepare: false });
  const key = await db.put(1, 1, { a: '1' });
  expect((await db.get(key))?.body).toEqual({ a: '1' });
  const names = await db.withCursor(
    1,
    async (cursor) => (await cursor.query('select name from pg_prepared_statements')).rows,
  );
  expect(names).toEqual([]);
  expect(databases).toHaveLength(2);
});

test('at most 128 names are prepared on a session', async () => {
  const { db, databases } = await testDatastore<{ [name: `t${number}`]: { id: bigint } }>({ poolMax: 1 });
  const tables = Array.from({ length: 150 }, (_, n) => `t${n}` as const);
  await databases[0].query(
    tables.map((t) => `create table shard0001.${t} (id bigint primary key default shard0001.next_id())`).join(';'),
  );
  for (const name of tables) expect(await db.table(name).get(1n << 10n)).toBeNull();
  const [row] = await db.withCursor(
    1,
    async (cursor) => (await cursor.query('select count(*)::int as n from pg_prepared_statements')).rows,
  );
  expect(row!.n).toBeLessThanOrEqual(128);
  expect(row!.n).toBeGreaterThan(100);
});

test('a put under a reserved key outlives the end of its session, and is stored once', async () => {
  const { db, databases } = await testDatastore();
  await db.put(1, 1, {});
  // The first insert waits in this trigger until its session is ended; a sequence is not rolled back.
  await databases[0].query(`
    create sequence shard0001.stalls;
    create function shard0001.stall() returns trigger language plpgsql as $$
      begin
        if nextval('shard0001.stalls') = 1 then perform pg_sleep(30); end if;
        return new;
      end $$;
    create trigger stall before insert on shard0001.entities for each row execute function shard0001.stall()`);
  const [reserved] = await db.reserveKeys(1, 1);
  const put = db.put(1, 1, { a: '1' }, { key: reserved });
  const sleeping = `select pid from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`;
  const { pid } = await waitFor(
    async () => (await databases[0].query(sleeping)).rows[0] as { pid: number } | undefined,
  );
  await databases[0].query(`select pg_terminate_backend($1)`, [pid]);
  expect(await put).toEqual(reserved);
  expect((await db.get(reserved!))?.body).toEqual({ a: '1' });
  const { rows } = await databases[0].query('select count(*)::int as n from shard0001.entities');
  expect(rows[0].n).toBe(2);
});
