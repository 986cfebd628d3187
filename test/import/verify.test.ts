import { expect, it } from 'vitest';
import { hypervault } from '../support/cli.ts';
import { importFixture, mariadbOfFile } from './fixture.ts';
import { logicalServerOfFile, postgresFixture } from './postgres-fixture.ts';
import { CREATE_LOADED, startPostgresLoad } from './postgres-load.ts';

const server = logicalServerOfFile();
const mariadb = mariadbOfFile();

const TABLES = `
create table country (code text primary key, name text);
create table orders (id int primary key, tenant_id int not null, note text, price double precision, tags text[]);
create table words (word text, tenant_id int, n int, primary key (word, tenant_id));
create table events (tenant_id int, what text, at timestamptz);
alter table orders replica identity full; alter table events replica identity full;
insert into country values ('at', 'Austria'), ('de', null);
insert into orders select n, n % 17, 'order ' || n, n / 7.0, array[n::text, null] from generate_series(1, 3000) n;
insert into words select 'word ' || n, n % 5, n from generate_series(1, 500) n;
insert into events select n % 3, 'same', '2024-01-01' from generate_series(1, 30) n;`;

it('finds exactly the rows that differ in the shards: missing, extra, different, in the wrong place, in one copy', async () => {
  const f = await postgresFixture(server(), {
    shards: true,
    extra: TABLES,
    source: { shard_by: 'tenant_id', reference_tables: ['country'] },
  });
  await f.init();
  const good = await f.engine.verify('shop');
  expect(good).toMatchObject({ equal: true, rows: 3532n });
  expect(good.tables.map(({ table, state }) => `${table} ${state}`)).toEqual([
    'public.country equal',
    'public.events equal',
    'public.orders equal',
    'public.words equal',
  ]);
  const places = (
    await f.rows<{ s: string }>(`select nspname as s from pg_namespace where nspname ~ '^shard0' order by 1`)
  ).map(({ s }) => s);
  const holding = async (table: string, where: string): Promise<string> => {
    for (const place of places)
      if ((await f.rows(`select from ${place}.${table} where ${where}`)).length > 0) return place;
    throw new Error('no shard of the first server has it');
  };
  const first = await holding('orders', 'tenant_id = 1 or tenant_id = 2 or tenant_id = 3 or tenant_id = 4');
  const ids = await f.rows<{ id: number; tenant_id: number }>(
    `select id, tenant_id from ${first}.orders order by id limit 3`,
  );
  const [gone, changed, moved] = ids as [
    { id: number; tenant_id: number },
    { id: number; tenant_id: number },
    { id: number; tenant_id: number },
  ];
  const elsewhere = places.find((place) => place !== first)!;
  await f.rows(`delete from ${first}.orders where id = ${gone.id}`);
  await f.rows(`update ${first}.orders set tags = array[null] where id = ${changed.id}`);
  await f.rows(`insert into ${first}.orders values (9999, ${moved.tenant_id}, 'extra')`);
  await f.rows(
    `with m as (delete from ${first}.orders where id = ${moved.id} returning *) insert into ${elsewhere}.orders select * from m`,
  );
  await f.rows(
    `delete from ${await holding('events', 'true')}.events where ctid = (select min(ctid) from ${await holding('events', 'true')}.events)`,
  );
  await f.rows(`update reference.country set name = 'x' where code = 'de'`, 1);
  const bad = await f.engine.verify('shop');
  expect(bad.equal).toBe(false);
  const of = (table: string): (typeof bad.tables)[number] => bad.tables.find((one) => one.table === `public.${table}`)!;
  const key = ({ id }: { id: number }): string[] => [String(id)];
  expect(of('orders').differences).toHaveLength(3);
  expect(of('orders').differences).toEqual(
    expect.arrayContaining([
      { key: key(gone), kind: 'missing', place: 'shards' },
      { key: key(changed), kind: 'different', place: 'shards' },
      { key: ['9999'], kind: 'extra', place: 'shards' },
    ]),
  );
  expect(of('orders').misplaced).toEqual([`${moved.tenant_id} in ${elsewhere}`]);
  expect(of('country').differences).toEqual([
    { key: ['de'], kind: 'different', place: expect.stringContaining('/reference') },
  ]);
  expect(of('events').differences).toEqual([
    { key: [expect.any(String), 'same', '2024-01-01 00:00:00+00'], kind: 'different', place: 'shards' },
  ]);
  expect(of('words')).toMatchObject({ state: 'equal', rows: 500n });
});

it('is right while both are written to, and finds one wrong row among those under way', {
  timeout: 60_000,
}, async () => {
  const f = await postgresFixture(server(), { extra: CREATE_LOADED });
  await f.source(`insert into items select n, 'c' || n, n, 'n', 'big' from generate_series(1, 5000) n`);
  await f.init();
  await f.start();
  const load = startPostgresLoad(f.sourceConnection, { seed: 5, pauseMs: 1 });
  for (let round = 0; round < 2; round++) {
    const result = await f.engine.verify('shop', { tables: ['public.items'] });
    expect(result.tables[0]).toMatchObject({ differences: [], undecided: 0, state: 'equal' });
  }
  await f.source(`insert into items (id, code) values (1000000, 'mine')`);
  await load.stop();
  await f.caughtUp();
  await f.rows(`update public.items set code = 'wrong' where id = 1000000`);
  const again = startPostgresLoad(f.sourceConnection, { seed: 6, pauseMs: 1 });
  const result = await f.engine.verify('shop', { tables: ['public.items'] });
  await again.stop();
  expect(result.tables[0]!.differences).toEqual([{ key: ['1000000'], kind: 'different', place: expect.any(String) }]);
});

it('says by its exit code whether everything is equal, and names what is aside or new', async () => {
  const f = await postgresFixture(server(), {
    extra: 'create table t (id int primary key, v text); insert into t select n from generate_series(1, 10) n',
  });
  await f.init();
  const { writeFile, mkdtemp, rm } = await import('node:fs/promises');
  const folder = await mkdtemp('/tmp/hypervault-verify-');
  const file = `${folder}/config.json`;
  await writeFile(file, JSON.stringify(f.config));
  const good = await hypervault(['import', 'verify', '--config', file]);
  expect(good).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^equal: 10 rows of 1 tables/) });
  await f.source('create table fresh (id int primary key)');
  await f.rows('delete from public.t where id = 3');
  const bad = await hypervault(['import', 'verify', '--config', file, '--json']);
  await rm(folder, { recursive: true });
  expect(bad.exitCode).toBe(1);
  expect(JSON.parse(bad.stdout)).toMatchObject({
    equal: false,
    tables: [
      { table: 'public.t', state: 'different', rows: '10', differences: [{ key: ['3'], kind: 'missing' }] },
      { table: 'public.fresh', state: 'missing' },
    ],
  });
});

it('compares a MySQL source by the values as they would arrive', async () => {
  const f = await importFixture(mariadb());
  await f.source(`create table t (id int primary key, d double, e enum('a','b'), b binary(3), at datetime(3), j json, tm time, z date);
    create table named (name varchar(20) primary key, n int);
    insert into t select seq, seq / 7, if(seq % 2, 'a', 'b'), char(seq), '2024-01-01 00:00:00.5', '{"a": 1}', '-10:00:00', null from seq_1_to_300;
    insert into named select concat('n', seq), seq from seq_1_to_50`);
  await f.init();
  expect((await f.engine.verify('shop')).equal).toBe(true);
  await f.source(`update t set d = 1e300 where id = 5`);
  // No replica runs: what is under way is brought over first
  expect((await f.engine.verify('shop')).equal).toBe(true);
  await f.rows(`update ${f.schema}.t set d = 1e299 where id = 5`);
  await f.rows(`delete from ${f.schema}.named where name = 'n7'`);
  const { tables } = await f.engine.verify('shop');
  expect(tables.map(({ differences }) => differences.map(({ key, kind }) => `${kind} ${key.join()}`))).toEqual([
    ['missing n7'],
    ['different 5'],
  ]);
});
