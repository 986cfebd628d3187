import { expect, onTestFinished, test } from 'vitest';
import { clusterStatus, initCluster } from '../../src/cluster/index.ts';
import { shardMapOf } from '../../src/core/index.ts';
import { freshDatabases } from '../support/database.ts';
import { serverPair } from '../support/server-pair.ts';
import { waitFor } from '../support/wait-for.ts';

/** What a control database with the journal of moves holds, as far as status reads it. */
const JOURNAL = `create table if not exists hypervault.moves (id bigint primary key, token text, shard int, source text,
  target text, state text, step text, error text, started timestamptz default now(), heartbeat timestamptz default now(),
  ended timestamptz)`;

async function cluster() {
  const [a, b] = await freshDatabases();
  const connections = [
    { ...a.connection, name: 'a', shards: '1-4' },
    { ...b.connection, name: 'b', shards: '4-5' },
  ];
  await initCluster(connections, a.connection);
  return { a, b, map: shardMapOf(connections) };
}

test('shards with owner, size, rows and versions; a server that is away is part of the answer', async () => {
  const { a, map } = await cluster();
  await a.query(`create table shard0002.big (id int primary key, note text);
    insert into shard0002.big select n, repeat('x', 1000) from generate_series(1, 1000) as n;
    analyze shard0002.big, shard0001.entities, shard0002.entities`);
  await a.query(
    `insert into shard0002.hv_migrations select * from shard0002.hv_ledger where name ~ '^00' and module = 'core'`,
  );
  const status = await clusterStatus(map, {
    control: a.connection,
    servers: { c: { host: '127.0.0.1', port: 1, database: 'x', user: 'x' } },
  });
  expect(status).toMatchObject({ epoch: 0n, moves: [], leftovers: [] });
  expect(status.servers.map(({ name, error }) => [name, error === undefined])).toEqual([
    ['c', false],
    ['a', true],
    ['b', true],
  ]);
  const shards = status.servers.flatMap((server) => server.shards ?? []);
  expect(
    shards.map(({ shardId, on, owner, epoch, estimatedRows }) => [shardId, on, owner, epoch, estimatedRows]),
  ).toEqual([
    [1, 'a', 'a', 1n, 0n],
    [2, 'a', 'a', 1n, 1000n],
    [3, 'a', 'a', 1n, null],
    [4, 'b', 'b', 1n, null],
  ]);
  expect(shards[1]!.sizeBytes).toBeGreaterThan(1_000_000n);
  expect([shards[0]!.migration, shards[1]!.migration]).toEqual([null, '003-owner.sql']);
  expect(shards[0]!.schema.core).toMatch(/^1\.\d+$/);
});

test('moves that are not over, and what dead moves have left', async () => {
  const { a, b, map } = await cluster();
  const token = `t${process.pid}`;
  await a.query(JOURNAL);
  await a.query(
    `insert into hypervault.moves (id, token, shard, source, target, state, step, error, ended) values
     (7, $1, 1, 'a', 'b', 'moving', 'copy', 'it broke', null), (6, 'dead', 3, 'a', 'b', 'aborted', 'copy', null, now())`,
    [token],
  );
  for (const slot of [`hv_move_${token}`, `hv_move_dead${token}`, `other_${token}`]) {
    await a.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [slot]);
    onTestFinished(async () => void (await a.query('select pg_drop_replication_slot($1)', [slot])));
  }
  await a.query(`create publication hv_back_dead; create publication hv_move_${token}; create publication mine`);
  await b.query(`create subscription hv_move_gone_${token} connection 'dbname=x' publication p with (connect = false)`);
  // A copy of shard 1 is on its way in; that of shard 3 was left behind.
  for (const shard of ['shard0001', 'shard0003'])
    await b.query(`create schema ${shard}; create table ${shard}.t (a int)`);
  const { moves, leftovers, servers } = await clusterStatus(map, { control: a.connection });
  expect(moves).toMatchObject([{ id: 7n, shardId: 1, from: 'a', to: 'b', step: 'copy', error: 'it broke' }]);
  expect(leftovers).toMatchObject([
    { server: 'a', kind: 'slot', name: `hv_move_dead${token}` },
    { server: 'a', kind: 'publication', name: 'hv_back_dead' },
    { server: 'b', kind: 'subscription', name: `hv_move_gone_${token}` },
    { server: 'b', kind: 'schema', shardId: 3 },
  ]);
  const slots = servers.find(({ name }) => name === 'a')!.replication!.slots;
  const slot = slots.find(({ slot: name }) => name === `other_${token}`);
  expect(slot).toMatchObject({ kind: 'logical', active: false, walStatus: 'reserved' });
  expect(slot!.retainedBytes).toBeGreaterThan(0n);
  await b.query(`alter subscription hv_move_gone_${token} set (slot_name = none)`);
  await b.query(`drop subscription hv_move_gone_${token}`);
});

test('standbys with their lag', async () => {
  const pair = await serverPair();
  const { primary } = pair;
  const map = shardMapOf([{ ...primary.connection, name: 'a', shards: '1-2' }]);
  const standbyOf = async () => (await clusterStatus(map)).servers[0]!.replication!.standbys[0]!;
  await waitFor(async () => (await standbyOf())?.lagBytes === 0n, { what: 'a standby without lag' });
  expect(await standbyOf()).toMatchObject({ state: 'streaming', sync: 'async' });
  await pair.standby.stop();
  await waitFor(async () => (await standbyOf()) === undefined, { what: 'no standby' });
});
