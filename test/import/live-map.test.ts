import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { stringify } from 'yaml';
import { finishMoves, listMoves, liveShardMap, moveShards, planMoves } from '../../src/cluster/index.ts';
import { shardFor } from '../../src/core/index.ts';
import { ReplicaEngine } from '../../src/import/index.ts';
import { ADVISORY_LOCK_CLASS } from '../../src/internal/advisory-locks.ts';
import { hypervault } from '../support/cli.ts';
import type { TestDatabase } from '../support/database.ts';
import { type MovableCluster, movableCluster } from '../support/movable-cluster.ts';
import { rejection, waitFor } from '../support/wait-for.ts';
import { type EngineFixture, engineFixture } from './engine-fixture.ts';
import { logicalServerOfFile } from './postgres-fixture.ts';

const server = logicalServerOfFile();

const TENANTS = `
create table country (code text primary key, name text);
create table tenant (tenant_id int primary key, name text);
create table orders (id bigserial primary key, tenant_id int not null references tenant, total int);
insert into country values ('at', 'Austria');
insert into tenant select n, 'tenant ' || n from generate_series(1, 20) n;
insert into orders (tenant_id, total) select n % 20 + 1, n from generate_series(1, 100) n;`;

const MOVING = { acceptStaleReads: true } as const;

interface Live extends EngineFixture {
  readonly cluster: MovableCluster;
  readonly sourceConnection: TestDatabase['connection'];
  source(sql: string): Promise<Record<string, unknown>[]>;
  /** Every row of a table of the shards: server, shard, and the columns. */
  placed(table: string, columns: string): Promise<string[]>;
}

let made = 0;

/** A Postgres whose tenants are to go into the four shards of a cluster with a live map. */
async function liveImport(tables = TENANTS): Promise<Live> {
  const cluster = await movableCluster();
  made += 1;
  const database = `live_${process.pid}_${made}`;
  const admin = server().servers[0]!.connection as unknown as TestDatabase['connection'];
  await run(admin, `create database ${database}`);
  const connection = { ...admin, database };
  await run(connection, tables);
  const section = {
    type: 'pgsql',
    db_conn: connection,
    schema_mappings: { public: 'reference' },
    sleep_loop: 0.2,
    replication_slot: database,
    shard_by: 'tenant_id',
    reference_tables: ['country'],
    set_replica_identity: true,
  };
  const fixture = await engineOf(cluster, section);
  return {
    ...fixture,
    cluster,
    sourceConnection: connection,
    source: (sql) => run(connection, sql),
    placed: async (table, columns) => {
      const rows: string[] = [];
      for (const [name, { query }] of Object.entries({ a: cluster.a, b: cluster.b })) {
        const there = await query('select shard from hypervault.owners() where server = $1', [name]);
        for (const { shard } of there.rows) {
          const found = await query(`select ${columns} from shard000${shard}.${table}`);
          rows.push(...found.rows.map((row) => [name, shard, ...Object.values(row)].join(' ')));
        }
      }
      return rows.sort();
    },
  };
}

async function engineOf(cluster: MovableCluster, section: object): Promise<EngineFixture> {
  const { a, b, control } = cluster;
  const map = await liveShardMap(cluster.setting);
  onTestFinished(() => map.close());
  const servers = { a: a.connection, b: b.connection, control: control.connection };
  const config = { servers, control: 'control', shards: 'live', import: { sources: { shop: section } } };
  return engineFixture(config, { shardMap: map });
}

/** Keeps in each shard how its tables are made: that is how a move makes them elsewhere. */
async function migrate(cluster: MovableCluster, sql: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'live-import-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, '001-tables.sql'), sql);
  await cluster.migrate(folder);
}

async function run(connection: pg.ClientConfig, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(connection);
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

it('imports along the live map; no shard it writes into moves until it is over', { timeout: 60_000 }, async () => {
  const live = await liveImport();
  const { cluster, engine } = live;
  const { setting } = cluster;

  // Where a move is not over, what the import makes would stay behind
  await moveShards(setting, { shards: [2], to: 'b' }, MOVING);
  await engine.createReplicaSchema();
  await engine.addSource('shop');
  const early = await rejection(engine.initReplica('shop'));
  expect(early.code).toBe('REPLICA_STATE');
  expect(early.message).toMatch(
    /shard 2 while it is on its way from a to b \(move 1\); its way back is kept: .*--finish/,
  );
  await finishMoves(setting);

  await live.init();
  const stop = await live.start();
  await live.source(`insert into tenant select n, 'late' from generate_series(21, 40) n;
    insert into orders (tenant_id, total) select n, 0 from generate_series(1, 40) n;
    update orders set tenant_id = tenant_id % 40 + 1 where id between 10 and 60;
    delete from orders where id between 61 and 65; insert into country values ('de', 'Germany')`);
  const theirs = await live.source('select id, tenant_id, total from orders');
  const wanted = theirs.map(({ id, tenant_id, total }) => {
    const shard = shardFor(String(tenant_id), { slots: 4, firstShard: 1 });
    return `${shard === 1 ? 'a' : 'b'} ${shard} ${id} ${tenant_id} ${total}`;
  });
  await waitFor(async () => (await live.placed('orders', 'id, tenant_id, total')).join() === wanted.sort().join(), {
    timeoutMs: 20_000,
    what: 'the rows in the shards of the map',
  });
  expect(await engine.verify('shop')).toMatchObject({ equal: true });

  const [plan] = await planMoves(setting, { shards: [1], to: 'b' }, MOVING);
  const sentence = expect.stringMatching(/^the import of shop writes into shard 1, which stays .*import finish/);
  expect(plan!.problems).toContainEqual({ check: 'import', message: sentence });
  const refused = await rejection(moveShards(setting, { shards: [1], to: 'b' }, MOVING));
  expect(refused).toMatchObject({ code: 'MOVE_PREFLIGHT', problems: [{ check: 'import', message: sentence }] });
  expect(await listMoves(setting, { open: true })).toEqual([]);

  await stop();
  await engine.switchOver('shop');
  expect((await rejection(moveShards(setting, { shards: [1], to: 'b' }, MOVING))).code).toBe('MOVE_PREFLIGHT');
  await engine.finish('shop');
  const [after] = await planMoves(setting, { shards: [1], to: 'b' }, MOVING);
  expect(after!.problems).toEqual([]);
});

it('of a move and an import that begin in one moment only one does', { timeout: 60_000 }, async () => {
  const { cluster, engine } = await liveImport();
  await engine.createReplicaSchema();
  await engine.addSource('shop');
  const gate = new pg.Client(cluster.control.connection);
  await gate.connect();
  onTestFinished(() => gate.end());
  await gate.query('select pg_advisory_lock($1, 0)', [ADVISORY_LOCK_CLASS.placing]);
  const both = Promise.allSettled([
    engine.initReplica('shop'),
    moveShards(cluster.setting, { shards: [2], to: 'b' }, MOVING),
  ]);
  await waitFor(
    async () => {
      const { rows } = await cluster.control.query(
        `select from pg_locks where locktype = 'advisory' and classid = $1 and not granted
           and database = (select oid from pg_database where datname = current_database())`,
        [ADVISORY_LOCK_CLASS.placing],
      );
      return rows.length === 2;
    },
    { timeoutMs: 20_000, what: 'both waiting for each other' },
  );
  await gate.query('select pg_advisory_unlock($1, 0)', [ADVISORY_LOCK_CLASS.placing]);
  const [copied, moved] = await both;
  const codes = [copied, moved].map((one) => (one.status === 'rejected' ? one.reason.code : 'done'));
  expect([
    ['REPLICA_STATE', 'done'],
    ['done', 'MOVE_PREFLIGHT'],
  ]).toContainEqual(codes);
});

it('an old map leads to no row on the wrong server, and a fence that was passed by stops the stream', {
  timeout: 60_000,
}, async () => {
  const live = await liveImport(`create table items (id bigint primary key, tenant_id int, total int);
    insert into items select n, n, 0 from generate_series(1, 20) n`);
  const { cluster, engine } = live;
  const map = await liveShardMap(cluster.setting);
  const old = map.current;
  await map.close();
  await live.init();
  const stop = await live.start();
  await migrate(cluster, 'create table if not exists items (id bigint primary key, tenant_id integer, total integer)');
  // Somebody lets a shard go by hand: from here on only the shard's own fence stands between us and a lost row
  await cluster.control.query(`update hypervault.import_source set held_shards = '{}'`);
  await moveShards(cluster.setting, { shards: [1], to: 'b' }, MOVING);
  const late = await cluster.b.query('select count(*)::int as n from shard0001.items');
  await live.source(`insert into items select n + 20, n, -1 from generate_series(1, 20) n`);
  await waitFor(async () => (await engine.showErrors()).some(({ message }) => /lives on b since epoch/.test(message)), {
    timeoutMs: 20_000,
    what: 'the fence being told of',
  });
  await stop();
  expect((await cluster.b.query('select count(*)::int as n from shard0001.items')).rows).toEqual(late.rows);
  expect((await cluster.a.query('select from shard0001.items where total = -1')).rows).toEqual([]);
  await finishMoves(cluster.setting);
  const stale = new ReplicaEngine({ config: live.config, shardMap: { refresh: () => Promise.resolve(old) } });
  onTestFinished(() => stale.close());
  await stale.enableReplica('shop');
  const refused = await rejection(stale.startReplica('shop'));
  expect(refused.message).toMatch(/the shard map gives shard 1 to a, where it is not; look with hypervault fsck/);
});

it('a live map that nobody gave us is asked for by name', async () => {
  const config = {
    servers: { a: { host: '127.0.0.1' } },
    control: 'a',
    shards: 'live',
    import: { sources: {} },
  };
  const engine = new ReplicaEngine({ config });
  await expect(engine.showSources()).rejects.toMatchObject({
    code: 'CONFIGURATION',
    message: expect.stringContaining('shardMap: await liveShardMap({ control, servers })'),
  });
});

it('is one command on the command line, which writes nothing into the file before it can work', {
  timeout: 60_000,
}, async () => {
  const { cluster, sourceConnection } = await liveImport();
  const folder = await mkdtemp(join(tmpdir(), 'live-import-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'hypervault.yaml');
  const { user, password, host, port, database } = sourceConnection;
  const url = `postgres://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`;
  const words = ['import', url, '--by', 'tenant_id', '--reference', 'country', '--set-replica-identity'];
  const environment = { HYPERVAULT_CONFIG: file, HYPERVAULT_SOURCE_PASSWORD: password };
  const servers = { a: cluster.a.connection, b: cluster.b.connection, control: cluster.control.connection };

  const without = stringify({ servers, control: 'control' });
  const mapless = stringify({ servers, control: 'a', shards: 'live' });
  for (const [text, said] of [
    [without, /names no shards, so --by/],
    [mapless, /the control database holds no shard map: hypervault init/],
  ] as const) {
    await writeFile(file, text);
    expect((await hypervault(words, { environment })).stderr).toMatch(said);
    expect(await readFile(file, 'utf8')).toBe(text);
  }

  await writeFile(file, stringify({ servers, control: 'control', shards: 'live' }));
  const copied = await hypervault([...words, '--copy-only'], { environment });
  expect(copied).toMatchObject({ exitCode: 0, stderr: expect.stringMatching(/wrote import.sources.source into/) });
  expect(await hypervault(['import', 'verify'], { environment })).toMatchObject({
    exitCode: 0,
    stdout: expect.stringMatching(/^equal: 121 rows of 3 tables/),
  });
  const refused = await hypervault(['move', '1-2', '--to', 'b', '--accept-stale-reads'], { environment });
  expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/import of source writes into shard 1/) });
  expect(await hypervault(['import', 'drop-source', '--yes'], { environment })).toMatchObject({ exitCode: 0 });
});
