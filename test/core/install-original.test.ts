// A database made by the original tool: read as it is, then taken over while its writers write, without a row rewritten.
import type pg from 'pg';
import { expect, test } from 'vitest';
import { checkServer, Datastore, install, Key } from '../../src/core/index.ts';
import { SchemaError } from '../../src/errors.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { rejection, waitFor } from '../support/wait-for.ts';
import { duplicates } from './generator.ts';

/** What the original tool makes for one shard; its first version had no column `updated`. */
async function originalShard(db: TestDatabase, shard: number, { updated = true } = {}): Promise<void> {
  const schema = `shard${String(shard).padStart(4, '0')}`;
  await db.query(`
    create schema ${schema};
    create sequence ${schema}.table_id_seq;
    create function ${schema}.next_id(out result bigint) language plpgsql as $$
    declare
      count bigint;
      ms bigint;
    begin
      select nextval('${schema}.table_id_seq') % 1024 into count;
      select floor(extract(epoch from clock_timestamp()) * 1000) into ms;
      result := (ms - 1379365531352) << 23 | (${shard} << 10) | count;
    end $$;
    create table ${schema}.entities (
      id bigint not null default ${schema}.next_id(),
      type smallint not null,
      body hstore not null,
      ${updated ? 'updated timestamp,' : ''}
      constraint entities_pk primary key (id)
    );
    create index entities_idx_user_id on ${schema}.entities (((body->'user_id')::bigint) desc nulls last) where type = 2`);
}

async function originalDatabase(): Promise<TestDatabase> {
  const db = await freshDatabase();
  await originalShard(db, 1);
  await originalShard(db, 2, { updated: false });
  await db.query(`insert into shard0001.entities (type, body, updated)
                  select 2, hstore('user_id', n::text), timestamp '2015-06-01 12:00:00.5' from generate_series(1, 3000) n`);
  await db.query(
    `insert into shard0002.entities (type, body) select 1, hstore('n', n::text) from generate_series(1, 10) n`,
  );
  return db;
}

async function snapshot(db: TestDatabase): Promise<unknown> {
  const { rows } = await db.query(
    `select id, type, body::text, ctid, xmin from shard0001.entities
     union all select id, type, body::text, ctid, xmin from shard0002.entities order by id`,
  );
  const files = await db.query(
    `select pg_relation_filenode('shard0001.entities'), pg_relation_filenode('shard0002.entities'),
            pg_relation_filenode('shard0001.entities_pk')`,
  );
  return { rows, files: files.rows };
}

test('is read as it is, before any install', async () => {
  const db = await originalDatabase();
  const connections = [{ ...db.connection, shards: '1-3' }];
  const settings = await checkServer(await db.client(), { epoch: 1_379_365_531_352, schemaPrefix: 'shard' }, 'old');
  expect(settings).toMatchObject({ installed: false, modules: {} });
  const { rows } = await db.query('select id from shard0001.entities limit 1');
  const store = new Datastore(connections);
  const entity = await store.get(new Key(rows[0].id));
  expect(entity).toMatchObject({ kind: 2, body: { user_id: expect.any(String) } });
  await store.disconnect();
});

test('is taken over without a row rewritten, and new ids come after all old ones', async () => {
  const db = await originalDatabase();
  const before = await snapshot(db);
  const connections = [{ ...db.connection, shards: '1-3' }];
  await install(connections);
  expect(await snapshot(db)).toEqual(before);
  const { rows: types } = await db.query(
    `select attrelid::regclass::text as "table", format_type(atttypid, -1) as type from pg_attribute
     where attname = 'updated' and attrelid in ('shard0001.entities'::regclass, 'shard0002.entities'::regclass) order by 1`,
  );
  expect(types.map(({ type }) => type)).toEqual(['timestamp with time zone', 'timestamp with time zone']);
  const { rows: kept } = await db.query(`select distinct updated from shard0001.entities`);
  expect(kept).toEqual([{ updated: new Date('2015-06-01T12:00:00.500Z') }]);

  const { rows } = await db.query(
    `select (select max(id) from shard0001.entities) as highest, shard0001.next_id() as next`,
  );
  expect(BigInt(rows[0].next)).toBeGreaterThan(BigInt(rows[0].highest));
  const store = new Datastore(connections);
  const key = await store.put(1, 2, { user_id: '7' });
  expect((await store.get(key))?.body).toEqual({ user_id: '7' });
  expect(Math.abs(key.created.getTime() - Date.now())).toBeLessThan(5_000);
  await store.disconnect();
  expect((await install(connections)).servers[0]!.changed).toBe(0);
});

test('is taken over while its writers write: no id twice, no write lost', { timeout: 60_000 }, async () => {
  const db = await freshDatabase();
  await originalShard(db, 1);
  // A table of the user's own whose ids come from the same function, without a key that would hide a duplicate.
  await db.query('create table shard0001.events (id bigint default shard0001.next_id(), at timestamptz default now())');
  await db.query('alter table shard0001.entities drop constraint entities_pk');
  const stop = { now: false };
  const written = new Map<string, number>([
    ['entities', 0],
    ['events', 0],
  ]);
  const write = async (client: pg.Client, table: string, sql: string): Promise<void> => {
    while (!stop.now) {
      const { rowCount } = await client.query(sql);
      written.set(table, written.get(table)! + rowCount!);
      // The old function repeats ids by itself when it is hurried, so one row at a time before the new one is there.
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const old = await db.client();
  const writers = [
    write(old, 'entities', `insert into shard0001.entities (type, body) values (1, 'a=>b')`),
    write(await db.client(), 'events', 'insert into shard0001.events default values'),
  ];
  await waitFor(() => written.get('events')! > 20);
  await install([{ ...db.connection, shards: '1-2' }]);
  const after = written.get('events')!;
  await waitFor(() => written.get('events')! > after + 50);
  stop.now = true;
  await Promise.all(writers);
  const { rows } = await db.query('select id from shard0001.entities union all select id from shard0001.events');
  expect(rows).toHaveLength(written.get('entities')! + written.get('events')!);
  const [entities, events] = await Promise.all(
    ['entities', 'events'].map(async (table) => (await db.query(`select id from shard0001.${table}`)).rows),
  );
  for (const ids of [entities!, events!, rows]) expect(duplicates(ids.map(({ id }) => BigInt(id)))).toBe(0);
});

test('waits for a transaction that still writes with the old function, but not for ever', {
  timeout: 30_000,
}, async () => {
  const db = await originalDatabase();
  const connections = [{ ...db.connection, shards: '1-3' }];
  const writer = await db.client();
  await writer.query(`begin; insert into shard0001.entities (type, body) values (1, 'open=>yes')`);
  const installing = install(connections);
  await waitFor(async () => (await db.query('select from pg_locks where not granted')).rowCount);
  await writer.query(`insert into shard0001.entities (type, body) values (1, 'still=>old')`);
  await writer.query('commit');
  await installing;
  const { rows } = await db.query(
    `select count(*)::integer as rows, count(distinct id)::integer as ids from shard0001.entities`,
  );
  expect(rows).toEqual([{ rows: 3002, ids: 3002 }]);

  const other = await originalDatabase();
  const blocker = await other.client();
  await blocker.query(`begin; insert into shard0002.entities (type, body) values (1, 'open=>yes')`);
  const error = await rejection(install([{ ...other.connection, shards: '1-3' }]));
  expect(error).toBeInstanceOf(SchemaError);
  expect(error).toMatchObject({ retryable: true, cause: { code: '55P03' } });
  await blocker.query('rollback');
  await install([{ ...other.connection, shards: '1-3' }]);
});

test('stored ids that are ahead of the clock are an error, and nothing is changed', async () => {
  const db = await originalDatabase();
  await db.query(
    `insert into shard0001.entities (id, type, body)
     values ((floor(extract(epoch from now()) * 1000)::bigint + 60000 - 1379365531352) << 23 | (1 << 10), 1, '')`,
  );
  const error = await rejection(install([{ ...db.connection, shards: '1-2' }]));
  expect(error).toBeInstanceOf(SchemaError);
  expect(error.message).toMatch(/clock of this server is \d+ ms behind the ids of shard0001\.entities \(SV001\)/);
  const { rows } = await db.query(`select to_regclass('shard0001.hv_ledger') as ledger, last_value::integer
                                   from shard0001.table_id_seq`);
  expect(rows[0].ledger).toBeNull();
  // The old function still works, and rows of other shards' ids, or of none, don't count.
  await db.query(
    `delete from shard0001.entities where (id >> 23) > (select percentile_disc(0.5) within group (order by id >> 23) from shard0001.entities) + 30000`,
  );
  await db.query(`insert into shard0001.entities (id, type, body) values (9223372036854775807, 1, ''), (7, 1, '')`);
  await install([{ ...db.connection, shards: '1-2' }]);
  await db.query('select shard0001.next_id()');
});

test('a sequence that is small, cycles or keeps values in a cache is mended', async () => {
  const db = await freshDatabase();
  await originalShard(db, 1);
  await db.query(
    'drop sequence shard0001.table_id_seq cascade; create sequence shard0001.table_id_seq as integer maxvalue 5000 cache 50 cycle',
  );
  await db.query(`insert into shard0001.entities (type, body) values (1, '')`);
  await install([{ ...db.connection, shards: '1-2' }]);
  const { rows } = await db.query(
    `select data_type::text, max_value, cycle, cache_size from pg_sequences where sequencename = 'table_id_seq'`,
  );
  expect(rows).toEqual([{ data_type: 'bigint', max_value: '9223372036854775807', cycle: false, cache_size: '1' }]);
  await db.query('select shard0001.next_id()');
});

test('a view on `updated` keeps the column as it is, and its text is read as UTC', async () => {
  const db = await originalDatabase();
  await db.query('create view public.recent as select updated from shard0001.entities');
  await install([{ ...db.connection, shards: '1-3' }]);
  const store = new Datastore([{ ...db.connection, shards: '1-3' }]);
  const { rows } = await db.query('select min(id) as id from shard0001.entities');
  const entity = await store.get(new Key(rows[0].id));
  expect(entity?.updated).toEqual(new Date('2015-06-01T12:00:00.500Z'));
  await store.disconnect();
});
