// What operators see of atomic writes that were left half-way: status, janitor and fsck, by their commands.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { atomicJanitor, clusterStatus, fsck, initCluster, MapStore } from '../../src/cluster/index.ts';
import { Datastore, shardMapOf } from '../../src/core/index.ts';
import type { Embedded } from '../../src/embedded/index.ts';
import { hypervault } from '../support/cli.ts';
import { leaveWrite } from '../support/left-write.ts';
import { databaseOf, type ShardDatabase } from '../support/movable-cluster.ts';
import { ownServers } from '../support/own-server.ts';
import { waitFor } from '../support/wait-for.ts';

let servers: Embedded;
let databases = 0;

beforeAll(async () => {
  servers = await ownServers({ servers: 2, settings: { fsync: false, max_prepared_transactions: 20 }, keep: true });
});

afterAll(() => servers.stop());

/** Shards 1 and 2 on `a`, 3 and 4 on `b`, the control database beside `a`, and a configuration file. */
async function cluster() {
  databases += 1;
  const [a, b] = (await Promise.all(
    servers.servers.map(async ({ connection }) => {
      await databaseOf(connection).query(`create database left${databases}`);
      return databaseOf({ ...connection, database: `left${databases}` });
    }),
  )) as [ShardDatabase, ShardDatabase];
  await a.query(`create database control${databases}`);
  const control = databaseOf({ ...a.connection, database: `control${databases}` });
  const connections = [
    { ...a.connection, name: 'a', shards: '1-3' },
    { ...b.connection, name: 'b', shards: '3-5' },
  ];
  await initCluster(connections, control.connection);
  const db = new Datastore(connections, { poolBlockTimeoutMs: 1_000 });
  onTestFinished(() => db.disconnect({ deadlineMs: 1_000 }));
  // What a test leaves would be somebody else's to the next one.
  onTestFinished(async () => {
    for (const { query } of [a, b]) {
      const { rows } = await query('select gid from pg_prepared_xacts where database = current_database()');
      for (const { gid } of rows) await query(`rollback prepared '${gid}'`);
    }
  });
  const directory = await mkdtemp(join(tmpdir(), 'left-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const plain = ({ connection: { host, port, user, password, database } }: ShardDatabase, at = port) => ({
    hosts: [`${host}:${at}`],
    user,
    password,
    database,
  });
  const configure = async (portOfB?: number): Promise<string> => {
    const config = join(directory, `hypervault-${portOfB ?? ''}.json`);
    const named = { a: plain(a), b: plain(b, portOfB), control: plain(control) };
    await writeFile(config, JSON.stringify({ servers: named, control: 'control', shards: 'live' }));
    return config;
  };
  const config = await configure();
  const run = (...words: string[]) => hypervault([...words, '--config', config]);
  const old = (): Promise<unknown> =>
    waitFor(
      async () => {
        const ages = await a.query(`select from pg_prepared_xacts where prepared > now() - interval '2.1 s'`);
        const there = await b.query(`select from pg_prepared_xacts where prepared > now() - interval '2.1 s'`);
        return ages.rows.length + there.rows.length === 0;
      },
      { what: 'parts to be old enough' },
    );
  return { a, b, control, connections, db, run, configure, old };
}

const rowsOf = (db: Datastore, shards: readonly number[]): Promise<number[]> =>
  Promise.all(
    shards.map((shardId) =>
      db.withCursor(shardId, async (cursor) => {
        const { rows } = await cursor.query<{ n: number }>('select count(*)::integer as n from entities');
        return rows[0]!.n;
      }),
    ),
  );

test('status counts parts in doubt with what is known of them, the janitor ends them, and leaves what is not ours', {
  timeout: 60_000,
}, async () => {
  const { a, b, db, run, old } = await cluster();
  await leaveWrite(db, [1, 3, 4], 'decided');
  // Prepared, and its coordinator rolled back.
  await b.query(`begin; insert into shard0004.entities (type, body) values (1, '');
    prepare transaction 'hv_atomic:00000000-0000-4000-8000-000000000000:2:4'`);
  // Somebody else's, in a database that is none of ours.
  const other = databaseOf({ ...b.connection, database: 'postgres' });
  await other.query(`begin; select pg_current_xact_id(); prepare transaction 'payroll 7'`);
  onTestFinished(async () => void (await other.query(`rollback prepared 'payroll 7'`)));

  const young = await atomicJanitor(db, { remove: true, recoverAfterMs: 60_000 });
  expect(young.filter(({ kind }) => kind === 'part').map(({ kept }) => kept)).toEqual(
    Array(3).fill('just prepared: its writer is at it'),
  );
  await old();
  const status = await run('status');
  expect(status.exitCode).toBe(0);
  expect(status.stdout).toMatch(/^atomic writes on +parts prepared +oldest +to commit +to roll back +not known$/m);
  expect(status.stdout).toMatch(/^b +3 +\d+ seconds ago +2 +1 +0$/m);
  expect(status.stdout).toMatch(/^b +postgres +payroll 7 +\S+ +\d+ seconds ago$/m);
  const json = (await run('status', '--json')).json() as { prepared?: object }[];
  expect(json.flatMap(({ prepared }) => prepared ?? [])).toMatchObject([
    { server: 'b', part: { coordinator: 1 }, decision: 'decided' },
    { server: 'b', part: { coordinator: 1 }, decision: 'decided' },
    { server: 'b', part: { coordinator: 2, shardId: 4 }, decision: 'undecided', database: b.connection.database },
    { server: 'b', name: 'payroll 7', database: 'postgres' },
  ]);

  expect((await run('janitor', '--dry-run', '--remove')).exitCode).toBe(2);
  const dry = await run('janitor');
  expect(dry).toMatchObject({ exitCode: 0, stderr: '3 can be removed with --remove, 1 left alone\n' });
  expect(dry.stdout.match(/can be committed \(prepared \d+ seconds ago by /g)).toHaveLength(2);
  expect(dry.stdout.match(/can be rolled back \(prepared /g)).toHaveLength(1);
  expect((await b.query('select from pg_prepared_xacts')).rows).toHaveLength(4);

  const done = await run('janitor', '--remove', '--json');
  expect(done.exitCode).toBe(0);
  expect(done.json()).toMatchObject([
    { server: 'b', kind: 'part', removed: true, how: 'committed' },
    { server: 'b', kind: 'part', removed: true, how: 'committed' },
    { server: 'b', kind: 'part', removed: true, how: 'rolled back' },
    { server: 'b', kind: 'prepared', name: 'payroll 7', removed: false, kept: /not ours: ends in database postgres/ },
  ]);
  expect(await rowsOf(db, [1, 3, 4])).toEqual([1, 1, 1]);
  expect((await b.query('select gid from pg_prepared_xacts')).rows).toEqual([{ gid: 'payroll 7' }]);
  expect((await a.query('select from shard0001.hv_decision')).rows).toEqual([]);
  const after = await run('status');
  expect(after.stdout).not.toMatch(/atomic writes on/);
  expect(await run('janitor')).toMatchObject({ exitCode: 0, stderr: '1 left alone\n' });
});

test('decisions whose writer died in the very last step are listed and removed', { timeout: 60_000 }, async () => {
  const { a, db, run } = await cluster();
  await leaveWrite(db, [1, 3], 'finished');
  expect((await run('janitor', '--json')).json()).toEqual([]);
  await a.query(`update shard0001.hv_decision set made = now() - interval '2 h'`);
  expect((await run('janitor')).stdout).toMatch(/^a +decisions +1 decision in shard 1 +can be removed$/m);
  expect((await run('janitor', '--remove')).stdout).toMatch(/^a +decisions +1 decision in shard 1 +removed$/m);
  expect((await a.query('select from shard0001.hv_decision')).rows).toEqual([]);
});

test('what can not be known or ended is told, with exit code 1', { timeout: 60_000 }, async () => {
  const { a, b, db, configure, connections, old } = await cluster();
  // The coordinator is on b, which is away for the look; a part on a.
  await leaveWrite(db, [3, 1], 'decided');
  await old();
  const config = await configure(1);
  const dry = await hypervault(['janitor', '--config', config]);
  expect(dry).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/1 could not be looked at or removed/) });
  expect(dry.stdout).toMatch(/^b +server +not looked at +.*127\.0\.0\.1:1/m);
  expect(dry.stdout).toMatch(/^a +part +hv_atomic:\S+:3:1 +shard 3, which knows whether .*could not be asked/m);
  const status = await hypervault(['status', '--config', config]);
  expect(status.stdout).toMatch(/^a +1 +\d+ seconds ago +0 +0 +1$/m);

  // A role that has not prepared it.
  await a.query(`create role other${databases} login password 'other' in role ${a.connection.user}`);
  onTestFinished(async () => void (await a.query(`drop role other${databases}`)));
  const low = new Datastore(connections.map((entry) => ({ ...entry, user: `other${databases}`, password: 'other' })));
  onTestFinished(() => low.disconnect({ deadlineMs: 1_000 }));
  await b.query(`create role other${databases} login password 'other' in role ${b.connection.user}`);
  onTestFinished(async () => void (await b.query(`drop role other${databases}`)));
  expect(await atomicJanitor(low, { remove: true })).toMatchObject([
    { kind: 'part', removed: false, failed: true, kept: /only the role that prepared it \(\w+\) or a superuser may/ },
  ]);
  expect(await atomicJanitor(db, { remove: true })).toMatchObject([{ kind: 'part', removed: true, how: 'committed' }]);
  expect(await rowsOf(db, [1, 3])).toEqual([1, 1]);
});

test('fsck names parts that nobody ends, and those that nobody can', { timeout: 60_000 }, async () => {
  const { a, b, db, run, connections, control } = await cluster();
  await leaveWrite(db, [1, 3], 'decided');
  const map = shardMapOf(connections);
  const store = new MapStore(control.connection);
  await store.start();
  onTestFinished(() => store.stop());
  const { document } = (await store.read())!;
  const named = { a: a.connection, b: b.connection };
  expect((await run('fsck')).exitCode).toBe(0);
  const left = (await fsck(document, named, { partsAfterMs: 0 })).problems;
  expect(left).toMatchObject([
    {
      kind: 'part-left',
      server: 'b',
      shardId: 3,
      message: /the write is done.*janitor --remove as \w+ or a superuser/,
    },
  ]);
  // Of a shard that is elsewhere, as in an old backup; of a coordinator that nobody knows.
  const id = '00000000-0000-4000-8000-000000000000';
  for (const name of [`${id}:1:2`, `${id}:77:3`]) {
    await b.query(`begin; select pg_current_xact_id(); prepare transaction 'hv_atomic:${name}'`);
  }
  const wrong = await run('fsck');
  expect(wrong.exitCode).toBe(1);
  expect(wrong.stdout).toMatch(/^ *2 +b +part-elsewhere +.*shard 2, hv_atomic:\S+:1:2, but the shard is on a/m);
  expect(wrong.stdout).toMatch(/^ *3 +b +part-unmapped +.*the map does not know shard 77/m);
  expect((await clusterStatus(map)).prepared.map(({ decision }) => decision)).toEqual([
    'decided',
    'undecided',
    'unknown',
  ]);
  expect(await atomicJanitor(db, { remove: true, recoverAfterMs: 0 })).toMatchObject([
    { removed: true, how: 'committed' },
    { removed: true, how: 'rolled back' },
    { removed: false, failed: true, kept: /shard 77/ },
  ]);
});
