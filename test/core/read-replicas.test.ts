import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { Datastore, install } from '../../src/core/index.ts';
import { WriteToken } from '../../src/core/write-token.ts';
import { type ServerPair, serverPair } from '../support/server-pair.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

async function withStandby(): Promise<{ pair: ServerPair; open: (maxReplicaLagMs?: number) => Datastore }> {
  const pair = await serverPair();
  const entry = { ...pair.login, hosts: pair.hosts, name: 'a', shards: '1-3' };
  await install([entry]);
  await pair.caughtUp();
  const open = (maxReplicaLagMs?: number): Datastore => {
    const db = new Datastore([entry], { maxReplicaLagMs });
    onTestFinished(() => db.disconnect({ deadlineMs: 1_000 }));
    return db;
  };
  return { pair, open };
}

/** Runs a statement on the standby, whoever that is. */
async function onStandby({ standby }: ServerPair, text: string): Promise<unknown[]> {
  const client = new pg.Client(standby.connection);
  await client.connect();
  return (await client.query(text).finally(() => client.end())).rows;
}

const answered = (db: Datastore): number => db.stats()['a (standby)']?.batchedCalls ?? 0;

test('reads go to the standby once it is known to be fresh; who wrote sees it, others within the bound', async () => {
  const { pair, open } = await withStandby();
  const db = open(1_000);
  const writer = db.caller();
  const other = db.caller();
  const old = await writer.put(1, 1, { v: '1' });
  await pair.caughtUp();
  await waitFor(async () => {
    await other.get(old);
    return answered(db) > 0;
  });
  expect(await other.read(1, async (cursor) => (await cursor.query('show transaction_read_only')).rows)).toEqual([
    { transaction_read_only: 'on' },
  ]);

  await onStandby(pair, 'select pg_wal_replay_pause()');
  const key = await writer.put(1, 1, { v: '2' });
  expect((await writer.get(key))?.body).toEqual({ v: '2' });
  // In another process, by what the caller carries with it.
  const elsewhere = open(1_000);
  await waitFor(async () => {
    await elsewhere.caller().get(old);
    return answered(elsewhere) > 0 || (await elsewhere.caller().get(key)) !== null;
  });
  expect((await elsewhere.caller(writer.token).get(key))?.body).toEqual({ v: '2' });
  // Others may miss it, and not for longer than the bound.
  const from = performance.now();
  await waitFor(async () => (await other.get(key)) !== null, { what: 'the primary, or a fresh standby' });
  expect(performance.now() - from).toBeLessThan(3_000);
  const before = answered(db);
  expect((await other.get(key))?.body).toEqual({ v: '2' });
  expect(answered(db)).toBe(before);

  await onStandby(pair, 'select pg_wal_replay_resume()');
  await waitFor(async () => {
    expect((await writer.get(key))?.body).toEqual({ v: '2' });
    return answered(db) > before;
  });
});

test('update, removal and transactions are writes too', async () => {
  const { pair, open } = await withStandby();
  const db = open(60_000);
  const caller = db.caller();
  const keys = await caller.putMany(2, 1, [{ v: '1' }, { v: '1' }, { v: '1' }]);
  await pair.caughtUp();
  await waitFor(async () => {
    await caller.getMany(keys);
    return answered(db) > 0;
  });
  await onStandby(pair, 'select pg_wal_replay_pause()');
  const [a, b, c] = keys as [(typeof keys)[0], (typeof keys)[0], (typeof keys)[0]];
  // A stranger is answered by the standby, which has seen nothing of this.
  await db.update(a, { v: 'x' });
  expect((await db.caller().get(a))?.body).toEqual({ v: '1' });
  await caller.update(a, { v: '2' });
  expect((await caller.get(a))?.body).toEqual({ v: '2' });
  await db.caller().remove(b);
  const remover = db.caller();
  await remover.remove(c);
  expect(await remover.getMany([b, c])).toEqual([null, null]);
  const transactor = db.caller();
  await transactor.transaction(2, (cursor) => cursor.query('delete from entities'));
  expect(await transactor.read(2, async (cursor) => (await cursor.query('select from entities')).rowCount)).toBe(0);
  const writer = db.caller();
  await writer.write(2, (cursor) => cursor.query(`insert into entities (type, body) values (1, 'a=>1')`));
  expect(await writer.read(2, async (cursor) => (await cursor.query('select from entities')).rowCount)).toBe(1);
  await onStandby(pair, 'select pg_wal_replay_resume()');
});

test('a standby that dies, and one that takes over, cost no read', async () => {
  const { pair, open } = await withStandby();
  const db = open(2_000);
  const caller = db.caller();
  const key = await caller.put(1, 1, { v: '1' });
  await pair.caughtUp();
  const byStandby = async (): Promise<boolean> => {
    const before = answered(db);
    expect((await caller.get(key))?.body).toEqual({ v: '1' });
    return answered(db) > before;
  };
  await waitFor(byStandby);
  await pair.standby.kill();
  for (let n = 0; n < 20; n++) await byStandby();
  await pair.standby.start();
  await waitFor(byStandby, { timeoutMs: 20_000 });
  await pair.switchover();
  await waitFor(async () => (await caller.get(key).catch(() => null)) !== null, { timeoutMs: 20_000 });
  await waitFor(byStandby, { timeoutMs: 20_000, what: 'the former primary answering as a standby' });
});

test('without the option, or without a standby, all is as without a caller', async () => {
  const { pair, open } = await withStandby();
  const caller = open().caller();
  const key = await caller.put(1, 1, {});
  expect(await caller.get(key)).not.toBeNull();
  const alone = new Datastore([{ ...pair.primary.connection, name: 'a', shards: '1-3' }], { maxReplicaLagMs: 100 });
  onTestFinished(() => alone.disconnect());
  expect(await alone.caller(caller.token).get(key)).not.toBeNull();
  expect(Object.keys(alone.stats())).toEqual(['a']);
  expect(() => new Datastore([{ shards: '1-3' }], { maxReplicaLagMs: 0 })).toThrow(/maxReplicaLagMs/);
  await alone.disconnect();
  expect((await rejection((async () => alone.caller())())).message).toMatch(/disconnected/);
});

test('tokens', () => {
  const token = new WriteToken();
  token.note('eu/1=&', 0x16_b374d848n, 7n);
  token.note('b', 5n, 6n);
  token.note('b', 4n, 6n);
  const again = WriteToken.parse(token.toString());
  expect([again.toString(), again.epoch, again.behind('eu/1=&'), again.behind('b'), again.behind('c')]).toEqual([
    token.toString(),
    7n,
    0x16_b374d848n,
    5n,
    0n,
  ]);
  for (const wrong of ['x', '1&a', '1&a=g', '1&%=1', `1&a=${'f'.repeat(17)}`, '1'.repeat(70_000)]) {
    expect(() => WriteToken.parse(wrong)).toThrow(/not one that a caller gave out/);
  }
});

test('a signal ends the wait for a standby', async () => {
  const { pair, open } = await withStandby();
  const db = open(60_000);
  const caller = db.caller();
  const key = await caller.put(1, 1, { v: '1' });
  await pair.caughtUp();
  await waitFor(async () => {
    await caller.get(key);
    return answered(db) > 0;
  });
  // Replayed on the standby, the lock holds up reads there.
  const client = new pg.Client(pair.primary.connection);
  await client.connect();
  onTestFinished(() => client.end());
  await client.query('begin; lock table shard0001.entities in access exclusive mode; select txid_current()');
  await pair.query('select pg_switch_wal()');
  const locked = `select from pg_locks where mode = 'AccessExclusiveLock' and granted`;
  await waitFor(async () => (await onStandby(pair, locked)).length > 0, { what: 'the lock on the standby' });
  const waiting = `select from pg_stat_activity where wait_event_type = 'Lock'`;
  const stop = new AbortController();
  const read = rejection(caller.get(key, { signal: stop.signal }));
  await waitFor(async () => (await onStandby(pair, waiting)).length > 0, { everyMs: 5, what: 'a read that waits' });
  stop.abort();
  expect((await read).code).toBe('ABORTED');
  // Without a reply, that is.
  expect(db.stats()['a (standby)']!.inFlight).toBe(1);
  await client.query('rollback');
});
