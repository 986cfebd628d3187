// What a mover has begun goes on when it dies: the next one begins at once, and must not decide before that has ended.
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import {
  abortMoves,
  finishMoves,
  listMoves,
  type MoveOptions,
  type MoveStep,
  moveShards,
  resumeMoves,
  type StepPhase,
} from '../../src/cluster/index.ts';
import { databaseOf, type MovableCluster, movableCluster } from '../support/movable-cluster.ts';
import { ownServers } from '../support/own-server.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

const ORDER = { shards: [2], to: 'b' };

/** Moves shard 2 until the mover is cut off from all its servers at this place, as by a kill. */
async function dieAt(
  { setting }: MovableCluster,
  step: MoveStep,
  phase: StepPhase,
  {
    before = async () => {},
    after = async () => {},
  }: { before?: () => Promise<unknown>; after?: () => Promise<unknown> },
): Promise<void> {
  const stop = new AbortController();
  const onStep: MoveOptions['onStep'] = async (at, when) => {
    if (at !== step || when !== phase) return;
    await before();
    void after().then(() => stop.abort());
  };
  await rejection(moveShards(setting, ORDER, { acceptStaleReads: true, onStep, signal: stop.signal }));
}

test('a fence whose commit waits for a standby as its mover dies: no abort goes by what was before it', {
  timeout: 60_000,
}, async () => {
  const { servers } = await ownServers({ servers: 2, settings: { fsync: false } });
  const [a, b] = [databaseOf(servers[0]!.connection), databaseOf(servers[1]!.connection)];
  await b.query('create database control');
  const cluster = await movableCluster({
    databases: [a, b, databaseOf({ ...b.connection, database: 'control' })],
  });
  const standby = (name: string) =>
    a.query(`alter system set synchronous_standby_names = '${name}'`).then(() => a.query('select pg_reload_conf()'));
  const waits = `select from pg_stat_activity where wait_event = 'SyncRep' and query = 'commit'`;
  await dieAt(cluster, 'fence', 'begun', {
    before: () => standby('nobody'),
    after: () => waitFor(async () => (await a.query(waits)).rows.length === 1, { what: 'the commit to wait' }),
  });
  const aborted = rejection(abortMoves(cluster.setting)).catch(() => undefined);
  // An abort that takes the shard for one that never left hangs in its first commit: the standby comes behind that.
  await Promise.race([
    aborted,
    waitFor(async () => (await a.query(`select from pg_stat_activity where wait_event = 'SyncRep'`)).rows.length > 1, {
      what: 'an abort that goes ahead',
      timeoutMs: 10_000,
    }).catch(() => {}),
  ]);
  await standby('');
  expect(await aborted).toMatchObject({
    code: 'MOVE_BUSY',
    retryable: true,
    message: expect.stringMatching(/a mover of shard 2 has died, and a still runs what it had begun/),
  });
  await waitFor(async () => (await a.query(waits)).rows.length === 0, { what: 'the commit to end' });
  expect(await rejection(abortMoves(cluster.setting))).toMatchObject({ code: 'MOVE_STATE' });
  expect(await resumeMoves(cluster.setting, {}, { acceptStaleReads: true })).toMatchObject([{ state: 'moved' }]);
  expect(await cluster.owners(2)).toEqual(['b']);
  await finishMoves(cluster.setting);
  expect(await cluster.leftovers()).toEqual([]);
});

test('an index that a dead mover is building: who resumes at once goes on when that has ended', {
  timeout: 60_000,
}, async () => {
  const cluster = await movableCluster();
  const { a, b, setting } = cluster;
  const directory = await mkdtemp(join(tmpdir(), 'migrations-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  // As servers are by themselves: those of the tests look after their clients.
  await b.query(`alter database ${b.connection.database} set client_connection_check_interval to 0`);
  // On the new server it takes as long as we hold a lock.
  const holder = new pg.Client(b.connection);
  await holder.connect();
  onTestFinished(() => holder.end());
  await holder.query('select pg_advisory_lock(7, 7)');
  await writeFile(
    join(directory, '001-slow.sql'),
    `create function slow(text) returns text language plpgsql immutable
       as $$ begin
         if current_setting('port')::int = ${b.connection.port} then
           perform pg_advisory_xact_lock_shared(7, 7);
         end if;
         return $1;
       end $$;
     create table slow (id bigint primary key default next_id(), note text);
     create index slow_note on slow (slow(note));\n`,
  );
  await cluster.migrate(directory);
  await a.query(`set search_path to shard0002; insert into slow (note) select n::text from generate_series(1, 3) n`);
  const order = JSON.stringify({ setting, to: 'b', stops: [[2, 'verify', 'begun']] });
  const mover = spawn(process.execPath, ['--import', 'tsx', join(import.meta.dirname, 'mover-process.ts'), order]);
  const over = new Promise((resolve) => mover.once('exit', resolve));
  onTestFinished(async () => {
    mover.kill('SIGKILL');
    await over;
  });
  const builders = async (): Promise<number[]> => {
    const { rows } = await b.query(
      `select pid from pg_stat_activity where query like 'CREATE INDEX slow_note%' and state = 'active'`,
    );
    return rows.map(({ pid }) => pid);
  };
  const first = await waitFor(async () => (await builders())[0], { what: 'the index', timeoutMs: 20_000 });
  mover.kill('SIGKILL');
  await over;
  const resumed = resumeMoves(setting, {}, { acceptStaleReads: true });
  resumed.catch(() => {});
  await waitFor(async () => (await builders()).some((pid) => pid !== first), {
    what: 'the index to be built by the next mover',
    timeoutMs: 20_000,
  });
  await holder.query('select pg_advisory_unlock(7, 7)');
  expect(await resumed).toMatchObject([{ state: 'moved' }]);
  await finishMoves(setting);
  expect(await cluster.leftovers()).toEqual([]);
});

test('a move that ended while others were being resumed is left as it is', async () => {
  const cluster = await movableCluster();
  const { setting } = cluster;
  const options = { acceptStaleReads: true };
  for (const shardId of [1, 2]) {
    const stop = new AbortController();
    const onStep: MoveOptions['onStep'] = async (step) => {
      if (step === 'copy') stop.abort();
    };
    await rejection(moveShards(setting, { shards: [shardId], to: 'b' }, { ...options, onStep, signal: stop.signal }));
  }
  let goOn = (): void => {};
  const held = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  let standing = false;
  const all = resumeMoves(
    setting,
    {},
    {
      ...options,
      onStep: async (_, __, shardId) => {
        if (shardId !== 1) return;
        standing = true;
        await held;
      },
    },
  );
  all.catch(() => {});
  await waitFor(() => standing, { what: 'the first of two to be resumed' });
  await resumeMoves(setting, { shards: [2] }, options);
  await finishMoves(setting, { shards: [2] });
  goOn();
  expect(await rejection(all)).toMatchObject({
    code: 'MOVE_STATE',
    message: expect.stringMatching(/nothing to resume: shard 2 is in the state finished/),
  });
  expect((await listMoves(setting)).map(({ shardId, state, error }) => [shardId, state, error])).toEqual([
    [2, 'finished', null],
    [1, 'moved', null],
  ]);
  await finishMoves(setting);
  expect(await cluster.leftovers()).toEqual([]);
});

test('a move that is dropped since a check failed is nobody else’s before it is', async () => {
  const cluster = await movableCluster();
  const { a, control, setting } = cluster;
  await a.query('create table shard0002.bare (n int)');
  // The first change of a state comes late.
  await moveShards(setting, { shards: [1], to: 'b' }, { acceptStaleReads: true, wayBack: false });
  await control.query(`
    create sequence changes;
    create function late() returns trigger language plpgsql as $$
    begin
      if current_query() like '%set state%' and nextval('public.changes') = 1 then
        perform pg_sleep(3);
      end if;
      return null;
    end $$;
    create trigger late before update on hypervault.moves for each statement execute function late()`);
  const refused = rejection(moveShards(setting, ORDER, { acceptStaleReads: true }));
  await waitFor(
    async () => (await control.query(`select from pg_stat_activity where wait_event = 'PgSleep'`)).rows.length > 0,
    { what: 'the move to be dropped' },
  );
  await a.query('drop table shard0002.bare');
  const beside = await rejection(resumeMoves(setting, {}, { acceptStaleReads: true }));
  expect(beside.code).toMatch(/^MOVE_(BUSY|STATE)$/);
  expect((await refused).code).toBe('MOVE_PREFLIGHT');
  expect(await listMoves(setting, { open: true })).toEqual([]);
  expect(await cluster.owners(2)).toEqual(['a']);
  expect(await cluster.leftovers()).toEqual([]);
});
