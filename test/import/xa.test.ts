import { describe, expect, it } from 'vitest';
import { shardFor } from '../../src/core/index.ts';
import { freshDatabases } from '../support/database.ts';
import type { SourceServer } from '../support/source-server.ts';
import { waitFor } from '../support/wait-for.ts';
import { engineFixture } from './engine-fixture.ts';
import { type ImportFixture, importFixture, mariadbOfFile, mysqlOfFile } from './fixture.ts';
import { startReplicaProcess } from './replica-process.ts';
import { shardedConfig } from './sharded-config.ts';
import { CREATE_ORDERS, startXaLoad } from './xa-load.ts';

/** HYPERVAULT_KILLS=100 for a long night. */
const KILLS = Number(process.env.HYPERVAULT_KILLS ?? 2);

/** Runs statements in an XA transaction on a session of its own, up to its PREPARE. */
async function prepare(f: ImportFixture, xid: string, statements: string): Promise<void> {
  await f.source(`xa start '${xid}'; ${statements}; xa end '${xid}'; xa prepare '${xid}'`);
}

const held = async (f: ImportFixture): Promise<string[]> =>
  (await f.rows<{ xid: string }>('select xid from hypervault.import_prepared order by xid')).map(({ xid }) => xid);
const ids = async (f: ImportFixture, table = 't'): Promise<number[]> =>
  (await f.rows<{ id: number }>(`select id from ${f.schema}.${table} order by id`)).map(({ id }) => id);
const failures = (f: ImportFixture): Promise<Record<string, unknown>[]> =>
  f.rows('select message from hypervault.import_error order by error_id');

const A = "x'61',x'',1";

describe.each([
  ['MariaDB', mariadbOfFile()],
  ['MySQL', mysqlOfFile()],
] as [string, () => SourceServer][])('XA transactions of %s', (_name, server) => {
  async function copied(tables: string, source: Record<string, unknown> = {}): Promise<ImportFixture> {
    const f = await importFixture(server(), { source });
    await f.source(tables);
    await f.init();
    return f;
  }

  it('show when they commit, in the order of the commits, and not when they are rolled back', async () => {
    const f = await copied('create table t (id int primary key, v int); insert into t values (1, 0), (2, 0)');
    await f.start();
    await prepare(f, 'a', 'insert into t values (10, 0); update t set v = 1 where id = 1');
    await prepare(f, 'b', 'insert into t values (20, 0); delete from t where id = 2');
    await f.source('insert into t values (3, 0)');
    await f.caughtUp();
    expect(await ids(f)).toEqual([1, 2, 3]);
    expect(await held(f)).toEqual([A, "x'62',x'',1"]);
    await f.source("xa commit 'a'");
    await f.source('update t set v = v + 1 where id in (1, 10)');
    await f.source("xa rollback 'b'");
    await f.source(
      "xa start 'one', 'phase', 7; insert into t values (4, 0); xa end 'one', 'phase', 7; xa commit 'one', 'phase', 7 one phase",
    );
    await f.caughtUp();
    expect(await f.rows(`select id, v from ${f.schema}.t order by id`)).toEqual([
      { id: 1, v: 2 },
      { id: 2, v: 0 },
      { id: 3, v: 0 },
      { id: 4, v: 0 },
      { id: 10, v: 1 },
    ]);
    expect(await held(f)).toEqual([]);
    expect(await failures(f)).toEqual([]);
  });

  it('are kept by the target: killed between PREPARE and COMMIT, the replica knows their rows', {
    timeout: 60_000,
  }, async () => {
    const f = await copied('create table t (id int primary key)');
    for (const [id, outcome] of [
      [1, 'commit'],
      [2, 'rollback'],
      [3, 'commit'],
    ] as const) {
      await prepare(f, 'a', `insert into t values (${id})`);
      await f.source(`insert into t values (${100 + id})`);
      const first = startReplicaProcess(f.config, 'start');
      await waitFor(async () => (await ids(f)).includes(100 + id), {
        timeoutMs: 20_000,
        what: 'the PREPARE being passed',
      });
      await first.kill();
      expect(await held(f)).toEqual([A]);
      const second = startReplicaProcess(f.config, 'start');
      await waitFor(() => second.lines.length > 0, { timeoutMs: 20_000, what: 'the replica running' });
      await f.source(`xa ${outcome} 'a'`);
      await f.source(`insert into t values (${200 + id})`);
      await waitFor(async () => (await ids(f)).includes(200 + id), { timeoutMs: 20_000, what: 'the end being passed' });
      await second.kill();
      expect(await held(f)).toEqual([]);
    }
    expect(await ids(f)).toEqual([1, 3, 101, 102, 103, 201, 202, 203]);
    expect(await failures(f)).toEqual([]);
  });

  it('outlive a SIGKILL of the source', { timeout: 60_000 }, async () => {
    const f = await copied('create table t (id int primary key)');
    await f.start();
    await prepare(f, 'a', 'insert into t values (1)');
    await f.source('insert into t values (2)');
    await f.caughtUp();
    await server().kill();
    await server().start();
    await f.source("xa commit 'a'");
    await f.source('insert into t values (3)');
    await waitFor(async () => (await ids(f)).includes(3), { timeoutMs: 30_000, what: 'the replica going on' });
    expect(await ids(f)).toEqual([1, 2, 3]);
    expect(await failures(f)).toEqual([]);
  });

  it('are followed through the log between two workers', async () => {
    const f = await copied('create table t (id int primary key)', { mode: 'log' });
    const stopping = new AbortController();
    const reading = f.engine.readReplica('shop', { signal: stopping.signal });
    await prepare(f, 'a', 'insert into t values (1)');
    await prepare(f, 'b', 'insert into t values (2)');
    await f.source('insert into t values (3)');
    const logged = (): Promise<{ n: number }[]> =>
      f.rows('select count(*)::int as n from hypervault.import_log where prepared');
    await waitFor(async () => (await logged())[0]!.n > 0, { what: 'the PREPARE being logged' });
    stopping.abort();
    await reading;
    // Nothing is applied: the second reader knows from the log alone what is prepared
    await f.source("xa commit 'a'");
    await f.start();
    await f.source("xa rollback 'b'");
    await f.caughtUp();
    await waitFor(async () => (await held(f)).length === 0);
    expect(await ids(f)).toEqual([1, 3]);
    expect(await failures(f)).toEqual([]);
  });

  it('prepared before the copy are waited for, with their names when that takes too long', async () => {
    const f = await importFixture(server(), { source: { lock_timeout: '1s' } });
    await f.source('create table t (id int primary key)');
    await prepare(f, 'old', 'insert into t values (1)');
    await expect(f.init()).rejects.toThrow(/XA transactions that were prepared before the copy: old \(format 1\)/);
    await f.source("xa commit 'old'");
    await f.engine.initReplica('shop');
    expect(await ids(f)).toEqual([1]);
  });

  it('that nobody saw being prepared set aside what they may have changed', async () => {
    const f = await copied('create table t (id int primary key)');
    await prepare(f, 'a', 'insert into t values (1)');
    await f.start();
    await f.source('insert into t values (2)');
    await f.caughtUp();
    await waitFor(async () => (await held(f)).length === 1);
    await f.engine.stopReplica('shop');
    await f.rows('delete from hypervault.import_prepared');
    await f.start();
    await f.source("xa commit 'a'");
    await f.source('insert into t values (3)');
    await waitFor(async () => (await failures(f)).length === 1);
    expect(await failures(f)).toEqual([
      { message: expect.stringMatching(/x'61',x'',1 was prepared before the rows were copied/) },
    ]);
  });

  it('arrive whole in the shards of two servers, copied under load and killed again and again', {
    timeout: 60_000 + KILLS * 5_000,
  }, async () => {
    const schema = `xa_${process.pid}`;
    const source = (sql: string): Promise<unknown> => server().query(sql, [], schema);
    await server().query(`create database ${schema}`);
    await source(CREATE_ORDERS);
    const databases = await freshDatabases({ installed: true });
    const config = shardedConfig(databases, {
      db_conn: server().connection,
      schema_mappings: { [schema]: schema },
      shard_by: { orders: 'tenant' },
    });
    const load = startXaLoad(server(), schema, { seed: 5, pauseMs: 2 });
    const { init, start } = engineFixture(config);
    await init();
    for (let kill = 0; kill < KILLS; kill++) {
      const replica = startReplicaProcess(config, 'start');
      await waitFor(() => replica.lines.length > 1 + (kill % 4), { timeoutMs: 20_000, what: 'the replica applying' });
      replica.expectAlive();
      await replica.kill();
    }
    await start();
    await load.stop();
    const wanted = (await source('select id, tenant, v from orders')) as { id: number; tenant: number; v: number }[];
    const line = (shard: number, row: object): string => [shard, ...Object.values(row)].join(' ');
    const there = wanted.map((row) => line(shardFor(String(row.tenant), { slots: 8, firstShard: 1 }), row)).sort();
    const found = async (): Promise<string[]> => {
      const lines: string[] = [];
      for (let shard = 1; shard <= 8; shard++) {
        const { rows } = await databases[shard <= 4 ? 0 : 1]!.query(
          `select id, tenant, v from shard000${shard}.orders`,
        );
        lines.push(...rows.map((row: object) => line(shard, row)));
      }
      return lines.sort();
    };
    await waitFor(async () => (await found()).join() === there.join(), { timeoutMs: 15_000 }).catch(() => {});
    expect(await found()).toEqual(there);
    expect(there.length).toBeGreaterThan(20);
    for (const database of databases) {
      await waitFor(async () => (await database.query('select from hypervault.import_prepared')).rowCount === 0);
    }
    expect((await databases[0].query('select message from hypervault.import_error')).rows).toEqual([]);
  });
});
