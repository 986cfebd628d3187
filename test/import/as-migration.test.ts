import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { stringify } from 'yaml';
import { abortMoves, liveShardMap, moveShards } from '../../src/cluster/index.ts';
import { hypervault } from '../support/cli.ts';
import type { TestDatabase } from '../support/database.ts';
import { type MovableCluster, movableCluster, type ShardDatabase } from '../support/movable-cluster.ts';
import { rejection } from '../support/wait-for.ts';
import { type EngineFixture, engineFixture } from './engine-fixture.ts';
import { mariadbOfFile } from './fixture.ts';
import { logicalServerOfFile } from './postgres-fixture.ts';

const server = logicalServerOfFile();
const mariadb = mariadbOfFile();

const MOVING = { acceptStaleReads: true } as const;

const TENANTS = `
create schema types;
create type status as enum ('new', 'it''s "paid"', 'back\\slash');
create domain types.cents as integer default 0 check (value >= 0);
create table country (code text primary key, name text);
create table tenant (tenant_id int primary key, name text collate "C" not null default 'no: "name"', "Odd :'col" int);
create table orders (
  id bigserial primary key,
  tenant_id int not null references tenant on delete cascade,
  status status not null default 'new',
  net types.cents,
  gross numeric(10, 2) generated always as (net * 1.2) stored,
  since timestamptz default '2020-03-04 05:06:07+02',
  took interval default '1 day 02:03:04',
  tags text[] default array['a'],
  note text,
  parent bigint,
  constraint "positive: yes" check (net > 0 or note ~ '^\\d+$'),
  constraint orders_note_key unique (tenant_id, note) deferrable
);
alter table orders add constraint "of its parent" foreign key (parent) references orders deferrable initially deferred;
create unique index orders_open on orders (tenant_id, lower(note)) where status = 'new';
create index on orders using gin (tags);
create index "by day" on orders ((since at time zone 'UTC') desc nulls last) include (net) with (fillfactor = 70);
comment on table orders is 'what they''ve asked for: $hv$ \\ :''x''';
comment on column orders.net is E'two\\nlines';
create table audit (tenant_id int not null, at timestamptz not null, primary key (tenant_id, at));
insert into country values ('at', 'Austria');
insert into tenant select n, 'tenant ' || n from generate_series(1, 20) n;
insert into orders (tenant_id, net, note) select n % 20 + 1, n, n from generate_series(1, 100) n;
insert into audit select n, now() from generate_series(1, 20) n;`;

interface Imported extends EngineFixture {
  readonly cluster: MovableCluster;
}

/** A cluster with a live map whose shards 1–2 are on a, 3–4 on b, and an import into it. */
async function importInto(section: object): Promise<Imported> {
  const cluster = await movableCluster();
  const map = await liveShardMap(cluster.setting);
  onTestFinished(() => map.close());
  const servers = { a: cluster.a.connection, b: cluster.b.connection, control: cluster.control.connection };
  const source = { sleep_loop: 0.2, shard_by: 'tenant_id', reference_tables: ['country'], ...section };
  const config = { servers, control: 'control', shards: 'live', import: { sources: { shop: source } } };
  return { ...engineFixture(config, { shardMap: map }), cluster };
}

async function run(connection: pg.ClientConfig, sql: string): Promise<void> {
  const client = new pg.Client(connection);
  await client.connect();
  await client.query(sql).finally(() => client.end());
}

/** A folder with one migration. */
async function folderWith(sql: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'as-migration-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, '001-imported.sql'), sql);
  return folder;
}

/** Runs statements with each shard as the schema that names are found in. */
async function inEachShard({ a, b }: MovableCluster, sql: string): Promise<void> {
  const of = (shards: readonly number[]): string =>
    shards.map((shard) => `set search_path to shard000${shard}; ${sql}`).join(';');
  await run(a.connection, of([1, 2]));
  await run(b.connection, of([3, 4]));
}

/** What shard 1 is made of. */
async function structureOf({ query }: ShardDatabase): Promise<Record<string, unknown>[]> {
  return (await query(`select * from hypervault.move_structure('shard0001') order by kind, name`)).rows;
}

/** Every row of shard 1's tables, as text. */
async function rowsOf({ query }: ShardDatabase, tables: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    tables.map((table) => query(`select '${table} ' || t::text as row from shard0001.${table} t`)),
  );
  return found.flatMap(({ rows }) => rows.map(({ row }) => row as string)).sort();
}

it('writes the tables of an import as a migration, by which shards can be moved', { timeout: 60_000 }, async () => {
  const database = `as_migration_${process.pid}`;
  const admin = server().servers[0]!.connection as unknown as TestDatabase['connection'];
  await run(admin, `create database ${database}`);
  const connection = { ...admin, database };
  await run(connection, TENANTS);
  const { cluster, engine, init, config } = await importInto({
    type: 'pgsql',
    db_conn: connection,
    schema_mappings: { public: 'reference' },
    replication_slot: database,
    set_replica_identity: true,
  });
  const { a, b, setting } = cluster;

  await engine.createReplicaSchema();
  expect((await rejection(engine.showMigration('shop'))).message).toMatch(/there is no table of shop in the shards/);
  await engine.addSource('shop');
  const early = await rejection(engine.showMigration('shop'));
  expect(early).toMatchObject({ code: 'REPLICA_STATE', message: expect.stringMatching(/is ready: .*init-replica/) });
  await init();
  const following = await rejection(engine.showMigration('shop'));
  expect(following).toMatchObject({ code: 'REPLICA_STATE', message: expect.stringMatching(/after switch/) });
  await engine.switchOver('shop');
  const before = await engine.showMigration('shop');
  expect(before.notes).toEqual([expect.stringMatching(/^public.country stays out: .*every server has it/)]);
  const aside = `update hypervault.import_table set state = $1, reason = $2 where target_table = 'audit'`;
  await cluster.control.query(aside, ['aside', 'because']);
  const without = await engine.showMigration('shop');
  expect(without.tables).toEqual(['orders', 'tenant']);
  expect(without.notes[0]).toBe('public.audit stays out: it is set aside (because)');
  await cluster.control.query(aside, ['followed', null]);
  await engine.finish('shop');

  // By a program, to a file
  const home = await folderWith('');
  const file = join(home, 'hypervault.yaml');
  await writeFile(file, stringify(config));
  const printed = await hypervault(['import', 'show-migration'], { environment: { HYPERVAULT_CONFIG: file } });
  expect(printed).toMatchObject({ exitCode: 0, stderr: expect.stringMatching(/the catalogue knows shop no more/) });
  const withoutHead = (sql: string): string => sql.replaceAll(/^--.*\n/gm, '');
  expect(withoutHead(printed.stdout)).toBe(withoutHead(before.sql));
  expect(before.tables).toEqual(['audit', 'orders', 'tenant']);
  expect(before.sql).not.toMatch(/shard000|replica identity/);

  // Sequences that were given to the tables since
  await inEachShard(
    cluster,
    `alter table audit add n integer generated always as identity (start with 7 increment by 3);
    create sequence shared as integer cache 5; alter table audit add m integer default nextval('shared');
    alter table audit add o serial; alter table audit replica identity full`,
  );
  await b.query('alter index shard0003.orders_open rename to other');
  const unlike = await rejection(engine.showMigration('shop'));
  expect(unlike).toMatchObject({
    code: 'REPLICA_STATE',
    message: expect.stringMatching(/^the index orders_open is not/),
  });
  expect(unlike.message).toMatch(/in shard0001 on a and in shard0003 on b: make the shards alike first/);
  await b.query('alter index shard0003.other rename to orders_open');
  const { sql } = await engine.showMigration('shop');

  const made = await structureOf(a);
  const held = await rowsOf(a, before.tables);
  expect(held.length).toBeGreaterThan(10);
  // What a migration leaves out is refused before a row is copied
  const [index] = /do \$hv\$ begin\n[^;]* CREATE UNIQUE INDEX orders_open [\s\S]*?\n\n/.exec(sql)!;
  await cluster.migrate(await folderWith(sql.replace(index, '')));
  const refused = await rejection(moveShards(setting, { shards: [1], to: 'b' }, MOVING));
  expect(refused).toMatchObject({ code: 'MOVE_PREFLIGHT', problems: [{ check: 'structure' }] });
  expect(refused.message).toMatch(/the index orders_open is on a and could not be made on b/);
  await abortMoves(setting);
  await inEachShard(cluster, 'delete from hv_migrations');

  const folder = await folderWith(sql);
  await cluster.migrate(folder);
  expect(await structureOf(a)).toEqual(made);
  await moveShards(setting, { shards: [1], to: 'b' }, MOVING);
  expect(await structureOf(b)).toEqual(made);
  expect(await rowsOf(b, before.tables)).toEqual(held);
  const { rows } = await b.query(
    `insert into shard0001.orders (tenant_id, net, note) select tenant_id, 10, 'new' from shard0001.tenant limit 1
     returning id > 1000000000 as big, status::text, gross::text, tags`,
  );
  expect(rows).toEqual([{ big: true, status: 'new', gross: '12.00', tags: ['a'] }]);
  const orphan = b.query('insert into shard0001.orders (tenant_id, net) values (-1, 1)');
  expect(await rejection(orphan)).toMatchObject({ code: '23503' });

  // Servers that have not seen the import, several shards side by side
  const empty = await movableCluster();
  await empty.migrate(folder);
  expect(await structureOf(empty.a)).toEqual(made);
});

it('writes those of a MariaDB too', { timeout: 60_000 }, async () => {
  const schema = `as_migration_${process.pid}`;
  await mariadb().query(`create database ${schema}`);
  await mariadb().query(
    `create table country (code char(2) primary key);
     create table tenant (tenant_id int primary key, name varchar(40) not null default 'it''s', kind enum('a', 'b''c') default 'a');
     create table orders (id bigint unsigned auto_increment primary key, tenant_id int not null, total decimal(10, 2) check (total >= 0),
       note text comment 'a note', since timestamp default current_timestamp, key (note(10)), unique key (tenant_id, total),
       foreign key (tenant_id) references tenant (tenant_id) on update cascade) comment 'what they ask for';
     insert into tenant (tenant_id) select seq from seq_1_to_20;
     insert into orders (tenant_id, total) select seq % 20 + 1, seq from seq_1_to_100`,
    [],
    schema,
  );
  const { cluster, engine, init } = await importInto({
    type: 'mysql',
    db_conn: mariadb().connection,
    schema_mappings: { [schema]: 'reference' },
  });
  const { a, b, setting } = cluster;
  await init();
  await engine.detachReplica('shop');
  const made = await structureOf(a);
  const { sql, tables } = await engine.showMigration('shop');
  const held = await rowsOf(a, tables);
  expect(held.length).toBeGreaterThan(10);
  await cluster.migrate(await folderWith(sql));
  expect(await structureOf(a)).toEqual(made);
  await moveShards(setting, { shards: [1], to: 'b' }, MOVING);
  expect(await structureOf(b)).toEqual(made);
  expect(await rowsOf(b, tables)).toEqual(held);
  await b.query('insert into shard0001.orders (tenant_id, total) select tenant_id, 1000 from shard0001.tenant limit 1');
});
