import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { finishMoves, fsck, janitor, listMoves, MapStore, moveShards, revertMoves } from '../../src/cluster/index.ts';
import { ADVISORY_LOCK_CLASS } from '../../src/internal/advisory-locks.ts';
import { movableCluster, type ShardDatabase } from '../support/movable-cluster.ts';
import { rejection, waitFor } from '../support/wait-for.ts';
import { lostOf, startWriters } from './writers.ts';

async function written(database: ShardDatabase): Promise<number> {
  return (await database.query('select count(*)::int as n from shard0002.entities')).rows[0].n;
}

test('a shard that was moved goes back with what was written meanwhile, under load, and can be moved again', async () => {
  const cluster = await movableCluster();
  const { setting, a, b } = cluster;
  const writers = await startWriters({ live: setting, shards: [2], writers: 8 });
  await moveShards(setting, { shards: [2], to: 'b' }, { acceptStaleReads: true });
  const moved = await written(b);
  await waitFor(async () => (await written(b)) > moved + 100);
  const [back] = await revertMoves(setting);
  expect(back).toMatchObject({ state: 'reverted' });
  expect(await cluster.owners(2)).toEqual(['a']);
  const here = await written(a);
  await waitFor(async () => (await written(a)) > here + 50);
  expect(await cluster.leftovers()).toEqual([]);
  await moveShards(setting, { shards: [2], to: 'b' }, { acceptStaleReads: true, wayBack: false });
  const report = await writers.stop();
  expect(report.failures).toEqual([]);
  expect(await lostOf(b, 'shard0002', report)).toEqual([]);
  expect(await cluster.leftovers()).toEqual([]);
  const store = new MapStore(setting.control);
  await store.start();
  const { document } = (await store.read())!;
  expect(document).toEqual({ epoch: 4n, servers: { a: '1-2', b: '2-5' } });
  expect((await fsck(document, setting.servers)).problems).toEqual([]);
  await store.stop();
});

test('a writer that never reads the map again is refused by the fence; what it was promised is there', async () => {
  const cluster = await movableCluster();
  const { setting, a, b } = cluster;
  const connections = [
    { ...a.connection, name: 'a', shards: '1-3' },
    { ...b.connection, name: 'b', shards: '3-5' },
  ];
  const writers = await startWriters({ connections, shards: [2], writers: 4, tolerant: true });
  await moveShards(setting, { shards: [2], to: 'b' }, { acceptStaleReads: true });
  const before = await written(a);
  const raw = await rejection(a.query(`insert into shard0002.entities (type, body) values (1, '')`));
  expect(raw).toMatchObject({ code: 'SV004', detail: expect.stringMatching(/"epoch" ?: ?"2", "server" ?: ?"b"/) });
  expect((await rejection(a.query('truncate shard0002.entities'))).code).toBe('SV004');
  expect((await rejection(a.query('select shard0002.next_id()'))).code).toBe('2200H');
  const report = await writers.stop();
  expect(report.failures.length).toBeGreaterThan(0);
  expect(new Set(report.failures.map((failure) => failure.slice(0, 5)))).toEqual(new Set(['SV004', '2200H']));
  expect(await lostOf(b, 'shard0002', report)).toEqual([]);
  expect(await written(a)).toBe(before);
});

test('the way back is refused when it can no longer carry what was made', async () => {
  const cluster = await movableCluster();
  const { setting, b } = cluster;
  await moveShards(setting, { shards: [2], to: 'b' }, { acceptStaleReads: true });
  await b.query('alter table shard0002.entities add column more text');
  const error = await rejection(revertMoves(setting));
  expect(error).toMatchObject({
    code: 'MOVE_PREFLIGHT',
    message: expect.stringMatching(/entities\.more is made on b/),
  });
  expect(await cluster.owners(2)).toEqual(['b']);
  expect((await rejection(revertMoves(setting, { shards: [1] }))).message).toMatch(
    /nothing to revert: shard 1 has no move/,
  );
  await finishMoves(setting);
  expect(await cluster.leftovers()).toEqual([]);
});

test('the janitor lists what nobody needs any more, takes it away in order, and leaves open moves alone', {
  timeout: 60_000,
}, async () => {
  const cluster = await movableCluster();
  const { setting, a, b, control } = cluster;
  await moveShards(setting, { shards: [1, 2], to: 'b' }, { acceptStaleReads: true });
  expect((await janitor(setting, { remove: true })).map(({ kind, kept }) => [kind, kept])).toEqual([
    ['move', 'ends by --finish or --revert'],
    ['move', 'ends by --finish or --revert'],
  ]);
  expect((await listMoves(setting, { open: true })).map(({ state }) => state)).toEqual(['moved', 'moved']);
  // A journal that was lost, or brought back from a backup: the links of shard 2 belong to nobody.
  await control.query(`update hypervault.moves set state = 'finished', ended = now() where shard = 2`);
  const listed = (await janitor(setting)).filter(({ kind }) => kind !== 'move');
  expect(listed.map(({ server, kind, removed }) => `${server} ${kind} ${removed}`)).toEqual([
    'a subscription false',
    'b slot false',
    'b publication false',
    'b trace false',
    'a copy false',
  ]);
  // Without the word of the server that has the shard, no copy goes.
  const alone = { ...setting, servers: { ...setting.servers, b: { ...b.connection, port: 1 } } };
  const kept = (await janitor(alone)).filter(({ kind }) => kind === 'copy');
  expect(kept).toMatchObject([{ server: 'a', kept: 'b, which has the shard by the map, could not be asked' }]);
  // The shard itself is never taken for a copy, whatever the map says.
  await b.query(`update shard0002.hv_owner set server = 'elsewhere'`);
  const doubtful = (await janitor(setting)).filter(({ kind }) => kind === 'copy');
  expect(doubtful.map(({ server, kept }) => [server, kept])).toEqual([
    ['a', 'b has the shard by the map and does not own it; look with hypervault fsck'],
    ['b', 'the map says that this is the shard; look with hypervault fsck'],
  ]);
  await b.query(`update shard0002.hv_owner set server = 'b'`);
  // While somebody moves the shard, or is about to, nothing is taken out of it.
  const mover = new pg.Client(control.connection);
  await mover.connect();
  onTestFinished(() => mover.end());
  await mover.query('select pg_advisory_lock($1, 2)', [ADVISORY_LOCK_CLASS.move]);
  const beside = (await janitor(setting, { remove: true })).filter(({ kind }) => kind !== 'move');
  expect(beside.map(({ kind, removed, failed }) => [kind, removed, failed])).toEqual([
    ['subscription', true, false],
    ['slot', true, false],
    ['publication', true, false],
    ['trace', false, true],
    ['copy', false, false],
  ]);
  expect(beside[3]!.kept).toMatch(/another mover is at shard 2/);
  expect(beside[4]!.kept).toBe('left until b is rid of the trace shard0002');
  await mover.query('select pg_advisory_unlock_all()');
  expect((await janitor(setting, { remove: true })).filter(({ removed }) => removed)).toHaveLength(2);
  expect((await a.query(`select to_regnamespace('shard0002') is null as gone`)).rows[0].gone).toBe(true);
  await finishMoves(setting);
  expect(await cluster.leftovers()).toEqual([]);
  expect(await janitor(setting)).toEqual([]);
});

test('two janitors at once meet in nothing that either of them calls a failure', async () => {
  const cluster = await movableCluster();
  const { setting, a, control } = cluster;
  await moveShards(setting, { shards: [2], to: 'b' }, { acceptStaleReads: true });
  await control.query(`update hypervault.moves set state = 'finished', ended = now()`);
  const holder = new pg.Client(a.connection);
  await holder.connect();
  onTestFinished(() => holder.end());
  const { rows } = await holder.query(`select subname from pg_subscription where subname ~ '^hv_back_'
    and subdbid = (select oid from pg_database where datname = current_database())`);
  // Both have seen it there when the first one may take it away.
  await holder.query(`begin; alter subscription ${rows[0].subname} disable`);
  const both = Promise.all([janitor(setting, { remove: true }), janitor(setting, { remove: true })]);
  both.catch(() => {});
  const waiting = `select from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and query like 'alter subscription%'`;
  await waitFor(async () => (await a.query(waiting)).rows.length === 2, { what: 'both to wait', timeoutMs: 20_000 });
  await holder.query('rollback');
  const links = (await both).flat().filter(({ kind }) => ['subscription', 'slot', 'publication'].includes(kind));
  expect(links.filter(({ failed }) => failed)).toEqual([]);
  await janitor(setting, { remove: true });
  expect(await cluster.leftovers()).toEqual([]);
});

test('of slots for tables under copy the janitor takes those whose subscription is gone, on a server it knows', {
  timeout: 60_000,
}, async () => {
  const { setting, a, b } = await movableCluster();
  await moveShards(setting, { shards: [1], to: 'b' }, { acceptStaleReads: true });
  const { rows } = await a.query(
    `select system_identifier::text as system, pg_subscription.oid::text as number
     from pg_control_system(), pg_subscription join pg_database on pg_database.oid = subdbid
     where datname = current_database()`,
  );
  const { system, number } = rows[0];
  const slots = { used: `pg_${number}_sync_1_${system}`, dead: `pg_1_sync_1_${system}`, foreign: 'pg_1_sync_1_42' };
  onTestFinished(async () => {
    await b.query(`select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = any($1)`, [
      Object.values(slots),
    ]);
  });
  for (const slot of Object.values(slots)) {
    await b.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [slot]);
  }
  const found = async (remove: boolean): Promise<unknown[]> =>
    (await janitor(setting, { remove }))
      .filter(({ kind }) => kind !== 'move')
      .map(({ server, kind, name, removed }) => [server, kind, name, removed]);
  expect(await found(false)).toEqual([
    ['b', 'slot', slots.foreign, false],
    ['b', 'slot', slots.dead, false],
  ]);
  expect(await found(true)).toEqual([
    ['b', 'slot', slots.foreign, false],
    ['b', 'slot', slots.dead, true],
  ]);
  expect((await janitor(setting)).filter(({ kind }) => kind === 'slot')).toMatchObject([
    { name: slots.foreign, kept: expect.stringMatching(/not in the configuration \(system 42\); drop it by hand/) },
  ]);
  const left = await b.query('select slot_name from pg_replication_slots where slot_name = any($1) order by 1', [
    Object.values(slots),
  ]);
  expect(left.rows.map(({ slot_name }) => slot_name)).toEqual([slots.foreign, slots.used].sort());
  await finishMoves(setting);
});
