import { expect, it, onTestFinished } from 'vitest';
import { liveShardMap, planMoves } from '../../src/cluster/index.ts';
import { shardFor } from '../../src/core/index.ts';
import { ReplicaEngine } from '../../src/import/index.ts';
import { freshDatabases } from '../support/database.ts';
import { movableCluster } from '../support/movable-cluster.ts';
import { waitFor } from '../support/wait-for.ts';
import { engineFixture } from './engine-fixture.ts';
import { mariadbOfFile } from './fixture.ts';
import { shardedConfig } from './sharded-config.ts';

const mariadb = mariadbOfFile();

it('spreads rows over the shards of two servers by a key, moves them with it, and copies reference tables to both', async () => {
  const schema = `sharded_${process.pid}`;
  const source = (sql: string): Promise<unknown> => mariadb().query(sql, [], schema);
  await mariadb().query(`create database ${schema}`);
  await source(`create table country (code char(2) primary key, name varchar(40));
    create table orders (id int unsigned auto_increment primary key, tenant varchar(20) not null, total int);
    insert into country values ('at', 'Austria'), ('de', 'Germany');
    insert into orders (tenant, total) select concat('t', seq % 40), seq from seq_1_to_500`);
  const databases = await freshDatabases({ installed: true });
  const config = shardedConfig(databases, {
    db_conn: mariadb().connection,
    schema_mappings: { [schema]: 'reference' },
    shard_by: { orders: 'tenant' },
    reference_tables: ['country'],
  });
  const engine = new ReplicaEngine({ config });
  onTestFinished(() => engine.close());
  await engine.createReplicaSchema();
  await engine.addSource('shop');
  const copied = await engine.initReplica('shop');
  expect(copied.tables.map(({ table, rows, failure }) => ({ table, rows, failure }))).toEqual([
    { table: `${schema}.country`, rows: 2, failure: null },
    { table: `${schema}.orders`, rows: 500, failure: null },
  ]);
  const stop = new AbortController();
  const run = engine.startReplica('shop', { signal: stop.signal });
  onTestFinished(async () => {
    stop.abort();
    await run;
  });
  await source(`insert into country values ('fr', 'France'); update country set name = 'Deutschland' where code = 'de';
    insert into orders (tenant, total) values ('new', 1), ('t1', 2);
    update orders set tenant = 'moved' where id in (1, 2, 3); delete from orders where id = 4; update orders set total = 0 where id = 5`);
  const theirs = (await mariadb().query('select id, tenant, total from orders order by id', [], schema)) as {
    id: number;
    tenant: string;
    total: number;
  }[];
  const wanted = theirs
    .map(({ id, tenant, total }) => `${shardFor(tenant, { slots: 8, firstShard: 1 })} ${id} ${tenant} ${total}`)
    .sort();
  const found = async (): Promise<string[]> => {
    const rows: string[] = [];
    for (let shard = 1; shard <= 8; shard++) {
      const database = databases[shard <= 4 ? 0 : 1]!;
      const result = await database.query(`select id::text, tenant, total from shard000${shard}.orders`);
      rows.push(...result.rows.map((row) => `${shard} ${row.id} ${row.tenant} ${row.total}`));
    }
    return rows.sort();
  };
  await waitFor(async () => (await found()).join() === wanted.join(), {
    timeoutMs: 15_000,
    what: 'the shards holding the source',
  });
  for (const database of databases) {
    await waitFor(async () => (await database.query('select from reference.country')).rowCount === 3);
    const { rows } = await database.query('select code, name from reference.country order by 1');
    expect(rows.map(({ name }) => name)).toEqual(['Austria', 'Deutschland', 'France']);
  }
  // New rows take ids that no other shard gives out
  const { rows } = await databases[0].query(
    `insert into shard0001.orders (tenant, total) values ('x', 1) returning (id >> 10) & 0 as zero, id > 1000000000 as big`,
  );
  expect(rows[0]).toMatchObject({ big: true });
});

it('goes by the live map, and holds its shards where they are until it is dropped', { timeout: 60_000 }, async () => {
  const { a, b, control, setting } = await movableCluster();
  const schema = `live_${process.pid}`;
  await mariadb().query(`create database ${schema}`);
  await mariadb().query(
    `create table orders (id int auto_increment primary key, tenant varchar(20) not null);
     insert into orders (tenant) select concat('t', seq % 40) from seq_1_to_100`,
    [],
    schema,
  );
  const map = await liveShardMap(setting);
  onTestFinished(() => map.close());
  const servers = { a: a.connection, b: b.connection, control: control.connection };
  const shop = {
    type: 'mysql',
    db_conn: mariadb().connection,
    schema_mappings: { [schema]: 'reference' },
    shard_by: { orders: 'tenant' },
  };
  const config = { servers, control: 'control', shards: 'live', import: { sources: { shop } } };
  const { engine, init } = engineFixture(config, { shardMap: map });
  await init();
  const found = [];
  for (const [database, shards] of [[a, [1, 2]] as const, [b, [3, 4]] as const]) {
    for (const shard of shards) {
      const { rows } = await database.query(`select tenant from shard000${shard}.orders`);
      for (const { tenant } of rows) found.push(shardFor(tenant, { slots: 4, firstShard: 1 }) === shard);
    }
  }
  expect(found).toEqual(Array(100).fill(true));
  const problems = async (): Promise<string[]> =>
    (await planMoves(setting, { shards: [3], to: 'a' }, { acceptStaleReads: true }))[0]!.problems.map(
      ({ check }) => check,
    );
  expect(await problems()).toContain('import');
  await engine.dropSource('shop');
  expect(await problems()).not.toContain('import');
});
