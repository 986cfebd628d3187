// The session is lost while the server is at work, and the server goes on: what it has done nobody has heard of.
import { expect, test } from 'vitest';
import { NewEvent, type PersistentSubscription } from '../../src/streams/index.ts';
import { startProxy } from '../support/proxy.ts';
import { rejection, waitFor } from '../support/wait-for.ts';
import { freshStore, openStore, type TestStore, waitingForLocks } from './event-store.ts';

const SHARD = 'shard0001';
const numbered = (count: number): NewEvent[] => Array.from({ length: count }, (_, body) => new NewEvent('T', { body }));

/** A second store behind a proxy, on the same database, whose server does not look whether its clients are there. */
async function behindProxy({ database }: TestStore): Promise<{
  proxy: Awaited<ReturnType<typeof startProxy>>;
  store: TestStore['store'];
}> {
  const proxy = await startProxy({ port: database.connection.port });
  await database.query(`alter database ${database.connection.database} set client_connection_check_interval = 0`);
  const through = { ...database.connection, host: '127.0.0.1', port: proxy.port, shards: '1-5' };
  const { store } = await openStore([through]);
  return { proxy, store };
}

/** Makes what the next statement of that kind writes slow, once: its session is cut meanwhile. */
async function slowOnce({ database }: TestStore, table: string, event: string, when: string): Promise<void> {
  await database.query(`create table slow (at timestamptz)`);
  await database.query(`create function slow() returns trigger language plpgsql as $$ begin
    if not exists (select from public.slow) then
      insert into public.slow values (now());
      perform pg_sleep(0.4);
    end if;
    return new;
  end $$`);
  await database.query(
    `create trigger slow before ${event} on ${SHARD}.${table} for each row when (${when}) execute function slow()`,
  );
}

const sleeping = ({ database }: TestStore): Promise<unknown> =>
  waitFor(
    async () =>
      (
        await database.query(
          `select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()`,
        )
      ).rows.length > 0,
    { everyMs: 5 },
  );

async function bodiesOf(sub: PersistentSubscription, count: number): Promise<Set<number>> {
  const bodies = new Set<number>();
  while (bodies.size < count) {
    const { value: event } = await sub.next();
    bodies.add(event.json());
    await sub.ack(event);
  }
  return bodies;
}

test('retries that were claimed by a call whose reply was lost come again', { timeout: 30_000 }, async () => {
  const here = await freshStore();
  const { proxy, store } = await behindProxy(here);
  await store.createSubscription('g', '$all', { startFrom: 'beginning', leaseMs: 600, retryDelayMs: 300 });
  await store.publish('job-1', numbered(3), { shardId: 1 });
  await slowOnce(here, 'hv_retries', 'update', 'new.owner is not null');
  const sub = await store.connectSubscription('g', '$all');
  const { value: event } = await sub.next();
  await sub.nack(event, 'retry');
  await sleeping(here);
  proxy.cut();
  expect((await bodiesOf(sub, 3)).size).toBe(3);
  await sub.close();
});

test('roundRobin: a run that was cut off by a call whose reply was lost is worked off', {
  timeout: 30_000,
}, async () => {
  const here = await freshStore();
  const { proxy, store } = await behindProxy(here);
  await store.createSubscription('g', '$all', { startFrom: 'beginning', leaseMs: 600, strategy: 'roundRobin' });
  await store.publish('job-1', numbered(30), { shardId: 1 });
  await store.getAll();
  await slowOnce(here, 'hv_slices', 'insert', 'true');
  const sub = await store.connectSubscription('g', '$all');
  const work = bodiesOf(sub, 30);
  await sleeping(here);
  proxy.cut();
  expect((await work).size).toBe(30);
  await sub.close();
});

test('exactly once: a transaction whose outcome is unknown, and that was undone, is not taken for one of another consumer', {
  timeout: 30_000,
}, async () => {
  const here = await freshStore();
  const { proxy, store } = await behindProxy(here);
  const { database } = here;
  await database.query(`create table ${SHARD}.done (body int)`);
  await database.query(`create function undo() returns trigger language plpgsql as $$ begin
    perform pg_sleep(1.5);
    raise exception 'undone';
  end $$`);
  await database.query(
    `create constraint trigger undo after insert on ${SHARD}.done deferrable initially deferred for each row execute function undo()`,
  );
  await store.createSubscription('g', '$all', { startFrom: 'beginning', partitions: 1 });
  await store.publish('job-1', numbered(3), { shardId: 1 });
  const sub = await store.connectSubscription('g', '$all');
  const { value: event } = await sub.next();
  let idle = '';
  const failed = rejection(
    sub.transaction(event, async (cursor) => {
      await cursor.query('insert into done values (1)');
    }),
  );
  await sleeping(here);
  // another consumer waits for the slice, and settles the event as soon as it can
  const other = database.query(
    `update ${SHARD}.hv_slices set owner = gen_random_uuid(), term = term + 1, position = position + 1`,
  );
  await waitFor(async () => (await waitingForLocks(here)) > 0);
  proxy.cut();
  await other;
  expect(await failed).toMatchObject({ code: 'LEASE_LOST' });
  expect((await database.query(`select from ${SHARD}.done`)).rows).toHaveLength(0);

  // a session that stands still between the checkpoint and the commit is ended by its server
  await database.query('drop function undo cascade');
  await database.query(`create table seen (idle text)`);
  await database.query(`create function note() returns trigger language plpgsql as $$ begin
    insert into public.seen values (current_setting('idle_in_transaction_session_timeout'));
    return null;
  end $$`);
  await database.query(
    `create constraint trigger note after insert on ${SHARD}.done deferrable initially deferred for each row execute function note()`,
  );
  await sub.close();
  await database.query(`update ${SHARD}.hv_slices set owner = null`);
  const again = await store.connectSubscription('g', '$all');
  const { value: next } = await again.next();
  await again.transaction(next, (cursor) => cursor.query('insert into done values (2)'));
  idle = (await database.query('select idle from seen')).rows[0].idle;
  expect(idle).toBe('5s');
});

test('an append whose session was lost while it waited in the server is there once, whichever of the two comes first', {
  timeout: 30_000,
}, async () => {
  const here = await freshStore();
  const { proxy, store } = await behindProxy(here);
  const { database } = here;
  await store.publishEvent('s', 'T', { body: 0, shardId: 1 });
  for (const rounds of [1, 2, 3]) {
    const lock = await database.client();
    await lock.query('begin');
    await lock.query(`select from ${SHARD}.hv_streams where name = 's' for update`);
    const append = store.publish('s', numbered(2), { shardId: 1 });
    await waitFor(async () => (await waitingForLocks(here)) === 1);
    proxy.cut();
    // the same again, behind the first or before it
    await waitFor(async () => (await waitingForLocks(here)) === 2);
    await lock.query('commit');
    expect((await append).lastEventNumber).toBe(BigInt(rounds * 2));
  }
  expect((await store.get('s')).map((event) => event.eventNumber)).toEqual([0n, 1n, 2n, 3n, 4n, 5n, 6n]);
});
