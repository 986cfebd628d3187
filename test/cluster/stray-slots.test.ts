// Replication slots that nobody needs any more keep log until the disk is full: seen by status, dropped by the janitor.
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { clusterStatus, finishMoves, janitor, type Leftover, moveShards } from '../../src/cluster/index.ts';
import { shardMapOf } from '../../src/core/index.ts';
import { movableCluster } from '../support/movable-cluster.ts';
import { startProxy } from '../support/proxy.ts';
import { waitFor } from '../support/wait-for.ts';

async function mappedCluster() {
  const cluster = await movableCluster();
  const map = shardMapOf([
    { ...cluster.a.connection, name: 'a', shards: '1-3' },
    { ...cluster.b.connection, name: 'b', shards: '3-5' },
  ]);
  return { ...cluster, map };
}

test('the slot of a table under copy whose subscription was dropped: seen with the log it keeps, dropped by the janitor', {
  timeout: 60_000,
}, async () => {
  const { setting, a, b, control, map } = await mappedCluster();
  const left = async (): Promise<readonly Leftover[]> =>
    (await clusterStatus(map, { control: control.connection })).leftovers;
  const subscription = `mine_${process.pid}`;
  await a.query('create table public.big (id int primary key); insert into public.big values (1)');
  await b.query('create table public.big (id int primary key)');
  // The copy waits for a row of its key that may yet be there, with its slot made.
  const holder = new pg.Client(b.connection);
  await holder.connect();
  onTestFinished(() => holder.end());
  await holder.query('begin; insert into public.big values (1)');
  await a.query(`create publication mine for table public.big`);
  await a.query(`select pg_create_logical_replication_slot('${subscription}', 'pgoutput')`);
  const { host, port, user, password, database } = a.connection;
  const proxy = await startProxy({ host, port });
  await b.query(
    `create subscription ${subscription}
     connection 'host=127.0.0.1 port=${proxy.port} user=${user} password=${password} dbname=${database}'
     publication mine with (create_slot = false)`,
  );
  const slot = async (): Promise<string | undefined> => {
    const { rows } = await a.query(
      `select slot_name from pg_replication_slots where database = current_database() and slot_name ~ '^pg_\\d+_sync_'`,
    );
    return rows[0]?.slot_name;
  };
  const name = (await waitFor(slot, { what: 'the copy to have its slot', timeoutMs: 30_000 })) as string;
  expect(await left()).toEqual([]);
  // The subscription goes while its source can't be reached.
  await proxy.refuse();
  await b.query(`alter subscription ${subscription} disable`);
  await b.query(`alter subscription ${subscription} set (slot_name = none)`);
  await b.query(`drop subscription ${subscription}`);
  await waitFor(
    async () => {
      const { rows } = await a.query('select active from pg_replication_slots where slot_name = $1', [name]);
      return rows[0]?.active === false;
    },
    { what: 'the copy to end' },
  );
  const [before] = await left();
  await a.query(`insert into public.big select generate_series(2, 10000)`);
  const [found] = await left();
  expect(found).toMatchObject({ server: 'a', kind: 'slot', name, kept: undefined });
  // However little of it was to be kept before: the log of these rows is.
  expect(found!.retainedBytes! - before!.retainedBytes!).toBeGreaterThan(300_000n);
  expect(await janitor(setting)).toMatchObject([{ server: 'a', kind: 'slot', name, removed: false, kept: undefined }]);
  expect(await janitor(setting, { remove: true })).toMatchObject([{ name, removed: true }]);
  expect(await slot()).toBeUndefined();
  // That of the subscription itself has somebody else's name, and is left to them.
  expect(await left()).toEqual([]);
  const { rows } = await a.query('select slot_name from pg_replication_slots where slot_name = $1', [subscription]);
  expect(rows).toHaveLength(1);
});

test('slots of imports and reference tables that nobody reads are named and kept; with no journal no move is said to be over', {
  timeout: 60_000,
}, async () => {
  const { setting, a, control, map } = await mappedCluster();
  await moveShards(setting, { shards: [1], to: 'b' }, { acceptStaleReads: true });
  const names = [`hv_ref_r_${process.pid}`, `hypervault_s${process.pid}`, `theirs_${process.pid}`];
  for (const name of names) await a.query(`select pg_create_logical_replication_slot('${name}', 'pgoutput')`);
  const { leftovers } = await clusterStatus(map, { control: control.connection });
  expect(leftovers).toMatchObject([
    { server: 'a', name: names[0], kept: expect.stringMatching(/reference sync or reference remove/) },
    { server: 'a', name: names[1], kept: expect.stringMatching(/of an import/) },
  ]);
  expect((await janitor(setting, { remove: true })).map(({ kind, removed }) => [kind, removed])).toEqual([
    ['move', false],
    ['slot', false],
    ['slot', false],
  ]);
  // Nobody knows which moves are open: their slots and copies are not called left over.
  expect((await clusterStatus(map)).leftovers.map(({ name }) => name)).toEqual(names.slice(0, 2));
  await finishMoves(setting);
});
