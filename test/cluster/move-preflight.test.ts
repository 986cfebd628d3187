import pg from 'pg';
import { expect, test } from 'vitest';
import type { MoveOptions } from '../../src/cluster/index.ts';
import { listMoves, moveShards, planMoves } from '../../src/cluster/index.ts';
import { databaseOf, type MovableCluster, movableCluster } from '../support/movable-cluster.ts';
import { ownServers } from '../support/own-server.ts';
import { rejection } from '../support/wait-for.ts';

/** What stands against moving shard 2 from a to b: each check with its sentence. */
async function problems({ setting }: MovableCluster, options: MoveOptions = { acceptStaleReads: true }) {
  const [plan] = await planMoves(setting, { shards: [2], to: 'b' }, options);
  return Object.fromEntries(plan!.problems.map(({ check, message }) => [check, message]));
}

test('each check of the shard has its own sentence, and a dry run changes nothing', async () => {
  const cluster = await movableCluster();
  const { a, b } = cluster;
  expect(await problems(cluster)).toEqual({});
  expect((await b.query(`select to_regnamespace('shard0002') is null as none`)).rows[0].none).toBe(true);
  expect(await listMoves(cluster.setting)).toEqual([]);
  await a.query(`
    set search_path to shard0002;
    create table bare (n int);
    create unlogged table quick (id bigint primary key);
    create materialized view seen as select 1 as n;
    create table parts (id bigint primary key) partition by range (id);
    create table told (id bigint primary key);
    create function tell() returns trigger language plpgsql as 'begin return new; end';
    create trigger tell before insert on told for each row execute function tell();
    alter table told enable always trigger tell;
    create table public.other (id bigint primary key);
    create table pointing (id bigint primary key references public.other);
    create table pictures (id bigint primary key, picture oid);
    select lo_create(0);
    create role only_here;
    grant select on told to only_here;
  `);
  const found = await problems(cluster);
  await a.query('drop owned by only_here; drop role only_here');
  expect(found).toEqual({
    identity: expect.stringMatching(/^tables without a primary key or replica identity: bare; give each/),
    'not-carried': expect.stringMatching(/^materialized view seen, unlogged table quick: replication does not/),
    inherited: expect.stringMatching(/^parts: partitioned/),
    triggers: expect.stringMatching(/tell on told; they would do their work twice/),
    'foreign-keys': expect.stringMatching(/pointing_id_fkey on pointing/),
    'large-objects': expect.stringMatching(/pictures\.picture; use bytea/),
    roles: expect.stringMatching(/missing on b: only_here; make them there/),
  });
});

test('programs that use a shard as its owner could go on reading it: that must be said', async () => {
  const cluster = await movableCluster();
  const { a } = cluster;
  expect(await problems(cluster, {})).toEqual({
    'app-role': expect.stringMatching(/whom no REVOKE binds.*--grant-to/),
  });
  await a.query('create role app_member in role pg_monitor; create role app_super superuser');
  await a.query('grant usage on schema shard0002 to app_member');
  const bound = await problems(cluster, {});
  await a.query('grant usage on schema shard0002 to app_super');
  const unbound = await problems(cluster, {});
  await a.query('drop owned by app_member, app_super; drop role app_member, app_super');
  expect(Object.keys(bound)).toEqual(['roles']);
  expect(unbound['app-role']).toMatch(/^app_super may use shard0002 and is a superuser/);
});

test('each check of the servers has its own sentence', async () => {
  const cluster = await movableCluster();
  const { a, b, setting } = cluster;
  await b.query(`create schema shard0002; create extension btree_gin; update hypervault.settings set slots = 7`);
  await a.query(`create extension citext`);
  const found = await problems(cluster, { acceptStaleReads: true, maxClockDifferenceMs: 0.000_001 });
  expect(found).toEqual({
    extensions: expect.stringMatching(/the extension citext is of version .* on a and missing on b/),
    settings: expect.stringMatching(/slots 4.*slots 7.*two installations/),
    clock: expect.stringMatching(/clocks of a and b are \d+ ms apart/),
    'target-schema': expect.stringMatching(/b holds a schema shard0002 already.*janitor/),
  });
  await expect(planMoves(setting, { shards: [2], to: 'c' })).rejects.toMatchObject({
    code: 'CONFIGURATION',
    message: expect.stringMatching(/no server "c".*a, b/),
  });
  expect((await rejection(planMoves(setting, { shards: [2], to: 'a' }))).message).toMatch(/shard 2 is on a already/);
  expect((await rejection(planMoves(setting, { shards: [77], to: 'b' }))).message).toMatch(/knows no shard 77/);
  expect((await rejection(moveShards(setting, { shards: [2], to: 'b' }, { maxPauseMs: 0 }))).message).toMatch(
    /maxPauseMs/,
  );
  const twice = { ...setting, servers: { ...setting.servers, b: a.connection } };
  const [same] = await planMoves(twice, { shards: [2], to: 'b' }, { acceptStaleReads: true });
  expect(same!.problems[0]!.message).toMatch(/a and b are names of one database/);
});

test('a server that is not set up for moves is named with its setting, and one that is busy with its transaction', {
  timeout: 60_000,
}, async () => {
  const { servers } = await ownServers({
    servers: 2,
    settings: {
      wal_level: 'replica',
      max_replication_slots: 2,
      max_wal_senders: 2,
      max_logical_replication_workers: 1,
      max_prepared_transactions: 2,
    },
  });
  const [a, b] = [databaseOf(servers[0]!.connection), databaseOf(servers[1]!.connection)];
  await a.query('create database control');
  await a.query('create role nobody_special login password $$secret$$');
  const cluster = await movableCluster({ databases: [a, b, databaseOf({ ...a.connection, database: 'control' })] });
  await a.query(`begin; create table public.t (n int); prepare transaction 'kept'`);
  // A part of an atomic write ends by itself.
  await a.query(`begin; create table public.u (n int); prepare transaction 'hv_atomic:x:1:2'`);
  const open = new pg.Client(a.connection);
  await open.connect();
  await open.query('begin; select 1');
  await a.query('select pg_sleep(0.2)');
  const found = await problems(cluster, { acceptStaleReads: true, maxTransactionAgeMs: 100 });
  await open.end();
  for (const kept of ['kept', 'hv_atomic:x:1:2']) await a.query(`rollback prepared '${kept}'`);
  expect(found).toEqual({
    wal_level: expect.stringMatching(/b has wal_level = replica; set it to logical/),
    slots: expect.stringMatching(/a has 2 free replication slots and a move needs 3/),
    senders: expect.stringMatching(/a has 2 free senders/),
    workers: expect.stringMatching(/b has 1 free workers/),
    prepared: expect.stringMatching(/a holds prepared transactions \(kept\)/),
    'old-transaction': expect.stringMatching(/a transaction on a is open for/),
  });
  await a.query(
    `grant usage on schema hypervault to nobody_special; grant select on all tables in schema hypervault to nobody_special`,
  );
  const { user: _, password: __, ...rest } = a.connection;
  const poor = { ...rest, user: 'nobody_special', password: 'secret' };
  const setting = { ...cluster.setting, servers: { ...cluster.setting.servers, a: poor } };
  const [plan] = await planMoves(setting, { shards: [2], to: 'b' }, { acceptStaleReads: true });
  const checks = Object.fromEntries(plan!.problems.map(({ check, message }) => [check, message]));
  expect(checks).toMatchObject({
    replication:
      'the role nobody_special may not replicate on a; a superuser may run: alter role nobody_special replication',
    create: expect.stringMatching(/may not make publications on a.*grant create on database/),
    subscribe: expect.stringMatching(/grant pg_create_subscription to nobody_special/),
    owner: expect.stringMatching(/may not act for .*who owns shard0002 on a; run: grant/),
  });
  await servers[1]!.stop();
  const away = await rejection(planMoves(setting, { shards: [2], to: 'b' }));
  expect(away).toMatchObject({ code: 'SERVER_UNAVAILABLE' });
});

test('a shard that is moving, or migrated at this moment, is not moved by a second mover', async () => {
  const cluster = await movableCluster();
  const { setting, a } = cluster;
  const locked = new pg.Client(a.connection);
  await locked.connect();
  await locked.query("select pg_advisory_lock(x'48560003'::int, 2)");
  const busy = await rejection(moveShards(setting, { shards: [2], to: 'b' }, { acceptStaleReads: true }));
  expect(busy).toMatchObject({
    code: 'MOVE_BUSY',
    retryable: true,
    message: expect.stringMatching(/its lock on a is taken/),
  });
  await locked.end();
  // Nothing was begun, so nothing is to be ended.
  expect(await listMoves(setting, { open: true })).toEqual([]);
  const stop = new AbortController();
  const onStep: MoveOptions['onStep'] = async (step) => {
    if (step === 'copy') stop.abort();
  };
  await rejection(
    moveShards(setting, { shards: [2], to: 'b' }, { acceptStaleReads: true, onStep, signal: stop.signal }),
  );
  const second = await rejection(moveShards(setting, { shards: [2], to: 'b' }, { acceptStaleReads: true }));
  expect(second).toMatchObject({
    code: 'MOVE_BUSY',
    message: expect.stringMatching(/on its way from a to b.*--resume.*--abort/),
  });
});
