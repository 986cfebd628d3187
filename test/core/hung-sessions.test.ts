// Sessions that hang: at a lock, behind a line that swallows everything, in a server process that stands still.
import { expect, onTestFinished, test } from 'vitest';
import { Datastore, type DatastoreOptions } from '../../src/core/index.ts';
import type { ConnectionSettings } from '../../src/internal/endpoint/settings.ts';
import type { TestDatabase } from '../support/database.ts';
import { testDatastore } from '../support/datastore.ts';
import { startProxy } from '../support/proxy.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

/** Server `a` alone, over settings of the test's own. */
async function oneServer(settings: Partial<ConnectionSettings>, options: DatastoreOptions = {}) {
  const { connections, databases } = await testDatastore();
  const db = new Datastore([{ ...connections[0]!, ...settings }], options);
  onTestFinished(() => db.disconnect({ deadlineMs: 500 }));
  return { db, database: databases[0] };
}

/** Holds what every session looks at when it is met; the returned function lets go. */
async function holdContact(database: TestDatabase): Promise<() => Promise<unknown>> {
  const client = await database.client();
  await client.query('begin; lock table hypervault.settings in access exclusive mode');
  return () => client.query('rollback');
}

const WAITING = `select pid from pg_stat_activity
  where datname = current_database() and wait_event_type = 'Lock' and application_name = 'pg-hypervault'`;

/** Statements of the datastore that the server works on. */
async function running(database: TestDatabase, what: string): Promise<number> {
  const { rowCount } = await database.query(
    `select from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and state = 'active' and query like $1`,
    [`%${what}%`],
  );
  return rowCount!;
}

test('a session that hangs when the server is first met does not keep others from it', async () => {
  const { db, database } = await oneServer({ connectTimeoutMs: 500 }, { poolBlockTimeoutMs: 15_000 });
  const letGo = await holdContact(database);
  const served = db.withCursor(1, (cursor) => cursor.query('select 1'));
  const pid: number = (await waitFor(async () => (await database.query(WAITING)).rows[0], { what: 'contact' })).pid;
  process.kill(pid, 'SIGSTOP');
  onTestFinished(() => void process.kill(pid, 'SIGCONT'));
  await letGo();
  expect((await served).rowCount).toBe(1);
});

test('a wait that was too long for a session to be opened says that, and not that clients are lent', async () => {
  const { db, database } = await oneServer({ connectTimeoutMs: 60_000 }, { poolBlockTimeoutMs: 200 });
  const letGo = await holdContact(database);
  const error = await rejection(db.withCursor(1, (cursor) => cursor.query('select 1')));
  expect(error).toMatchObject({ code: 'POOL_TIMEOUT', message: expect.stringMatching(/no session was opened/) });
  await letGo();
});

test('disconnect does not wait for a session that hangs while it is opened', async () => {
  const { db, database } = await oneServer({ connectTimeoutMs: 60_000 });
  const letGo = await holdContact(database);
  const refused = rejection(db.withCursor(1, (cursor) => cursor.query('select 1')));
  await waitFor(async () => (await database.query(WAITING)).rowCount, { what: 'contact' });
  const started = performance.now();
  await db.disconnect({ deadlineMs: 200 });
  expect(performance.now() - started).toBeLessThan(3_000);
  expect((await refused).code).toBe('CLOSED');
  await waitFor(async () => (await database.query(WAITING)).rowCount === 0, { what: 'the session to end' });
  await letGo();
});

test('many reads of one caller, and reserved keys, end in time on a line that swallows everything', async () => {
  const { connections, databases } = await testDatastore();
  const proxy = await startProxy(databases[0].connection);
  const db = new Datastore([{ ...connections[0]!, port: proxy.port, connectTimeoutMs: 2_000 }], {
    poolBlockTimeoutMs: 2_000,
    requestTimeoutMs: 1_000,
  });
  onTestFinished(() => db.disconnect({ deadlineMs: 200 }));
  const key = await db.put(1, 1, { a: '1' });
  const keys = Array.from({ length: 300 }, () => key);
  await Promise.all([db.getMany(keys), db.reserveKeys(1, 5)]);
  proxy.blackhole();
  const errors = await Promise.all([rejection(db.getMany(keys)), rejection(db.reserveKeys(1, 5))]);
  expect(errors.map(({ message }) => message).join()).toMatch(/no reply within|terminated|no client/);
});

test('what nobody waits for any more is given up by the server too', async () => {
  const { db, databases } = await testDatastore({ requestTimeoutMs: 400 });
  const nap = 'select pg_sleep(60)';
  const enough = new AbortController();
  const aborted = rejection(db.fanOut([1, 2], (cursor) => cursor.query(nap), { signal: enough.signal }));
  await waitFor(() => running(databases[0], 'pg_sleep(60)'), { what: 'naps' });
  enough.abort();
  expect((await aborted).code).toBe('ABORTED');
  await waitFor(async () => (await running(databases[0], 'pg_sleep(60)')) === 0, { what: 'the naps to be given up' });

  const key = await db.put(1, 1, { a: '1' });
  await databases[0].query(`
    alter table shard0001.entities rename to stored;
    create view shard0001.entities as
      select id, type, body, updated from shard0001.stored, lateral (select pg_sleep(60)) as nap`);
  const stop = new AbortController();
  const scanned = rejection(db.find({ shards: [1], signal: stop.signal }).next());
  await waitFor(() => running(databases[0], 'limit $4'), { what: 'the page of a scan' });
  stop.abort();
  expect((await scanned).code).toBe('ABORTED');
  await waitFor(async () => (await running(databases[0], 'limit $4')) === 0, { what: 'the page to be given up' });

  const read = db.get(key).catch(() => {});
  await waitFor(() => running(databases[0], 'where id = $1'), { what: 'a read' });
  await databases[0]
    .query('drop view shard0001.entities; alter table shard0001.stored rename to entities')
    .catch(() => {});
  await read;
  expect(await running(databases[0], 'where id = $1')).toBe(0);
});

test('a process that stood still does not take a reply that has come for one that is late', async () => {
  const { db, databases } = await testDatastore({ requestTimeoutMs: 2_000 });
  await db.put(1, 1, { warm: 'yes' });
  await databases[0].query(`
    create function shard0001.wait() returns trigger language plpgsql as
      $$ begin perform pg_advisory_xact_lock_shared(42); return new; end $$;
    create trigger wait before insert on shard0001.entities for each row execute function shard0001.wait()`);
  const gate = await databases[0].client();
  await gate.query('select pg_advisory_lock(42)');
  const put = db.put(1, 1, { a: '1' });
  await waitFor(() => running(databases[0], 'entities (id'), { what: 'the put' });
  const opened = gate.query('select pg_sleep(0.2), pg_advisory_unlock(42)');
  const until = performance.now() + 4_000;
  while (performance.now() < until);
  expect((await put).shardId).toBe(1);
  await opened;
});
