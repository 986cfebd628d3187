import { expect, onTestFinished, test } from 'vitest';
import { removeEntities, updateEntities } from '../../src/core/entity-changes.ts';
import { insertMany, insertUnderGivenIds, insertWithNewIds } from '../../src/core/entity-writes.ts';
import { Datastore, type HandOver, type ShardMapSource, shardMapOf } from '../../src/core/index.ts';
import { Lane } from '../../src/core/lane.ts';
import { Observer } from '../../src/core/observe.ts';
import { insertRows, removeRow, updateRow } from '../../src/core/table-statements.ts';
import { freshDatabase } from '../support/database.ts';
import { testDatastore } from '../support/datastore.ts';
import { waitFor } from '../support/wait-for.ts';

async function lane() {
  const database = await freshDatabase();
  const client = await database.client();
  await client.query('create table drops (n int)');
  return new Lane(client, { prepare: true, observer: new Observer('a', undefined), onServed: () => {} });
}

const INSERT = { shardId: 1, text: 'insert into drops values ($1::int) returning n', values: ['7'] };

test('a statement that is planned ahead does not run, and runs as ever afterwards', async () => {
  const ahead = await lane();
  await ahead.plan([INSERT]);
  expect(await ahead.ask({ shardId: 1, text: 'select n from drops' })).toEqual([]);
  expect(await ahead.ask({ shardId: 1, text: 'select count(*)::int from pg_prepared_statements' })).toEqual([[1]]);
  expect(await ahead.ask(INSERT)).toEqual([[7]]);
  expect(await ahead.ask({ ...INSERT, values: ['8'] })).toEqual([[8]]);
  expect(await ahead.ask({ shardId: 1, text: 'select count(*)::int from pg_prepared_statements' })).toEqual([[1]]);
});

test('what can’t be planned ahead harms nothing', async () => {
  const ahead = await lane();
  const early = { ...INSERT, text: 'insert into later values ($1::int) returning n' };
  await ahead.plan([early, INSERT]);
  expect(await ahead.ask(INSERT)).toEqual([[7]]);
  await ahead.ask({ shardId: 1, text: 'create table later (n int)' });
  expect(await ahead.ask(early)).toEqual([[7]]);
});

test('a lane knows what it has prepared for a shard, with values that find nothing', async () => {
  const ahead = await lane();
  await ahead.ask({ ...INSERT, nothing: [null] });
  await ahead.ask({ ...INSERT, values: ['8'], nothing: [null] });
  await ahead.ask({ ...INSERT, text: `${INSERT.text} -- not to be planned ahead` });
  expect(ahead.preparedFor(1)).toEqual([{ ...INSERT, values: [null], types: undefined }]);
  expect(ahead.preparedFor(2)).toEqual([]);
});

test('the statements of writes, with the values they are planned with, find and change nothing', async () => {
  const { db, databases } = await testDatastore();
  await databases[0].query(
    'create table shard0001.orders (id bigint primary key default shard0001.next_id(), note text, version int not null default 1)',
  );
  await db.putMany(1, 1, [{ a: '1' }, { b: '2' }]);
  await databases[0].query(`insert into shard0001.orders (note) values ('x'), (null)`);
  const entities = {
    shardId: 1,
    table: 'shard0001.entities',
    nextId: 'shard0001.next_id',
    hstoreSchema: (
      await databases[0].query(`select extnamespace::regnamespace as s from pg_extension where extname = 'hstore'`)
    ).rows[0].s,
    epoch: 0,
  };
  const orders = {
    shardId: 1,
    table: 'shard0001.orders',
    nextId: 'shard0001.next_id',
    types: {} as never,
    by: undefined,
    versionColumn: 'version',
  };
  const call = {
    order: '1',
    bodies: [],
    changes: { note: 'y' },
    row: { id: 5n, note: 'y' },
    columns: ['note'],
  } as never;
  const sources = {
    withNewIds: insertWithNewIds(entities),
    many: insertMany(entities),
    underGivenIds: insertUnderGivenIds(entities),
    update: updateEntities(entities),
    remove: removeEntities(entities),
    rows: insertRows(orders, ['note']),
    rowsWithIds: insertRows(orders, ['id', 'note']),
    updateRow: updateRow(orders, ['note']),
    removeRow: removeRow(orders),
  };
  const all = 'select e::text from shard0001.entities e union all select o::text from shard0001.orders o order by 1';
  const before = (await databases[0].query(all)).rows;
  expect(before).toHaveLength(4);
  for (const [name, source] of Object.entries(sources)) {
    const { rows } = await databases[0].query(source.statement([call]).text, source.nothing);
    expect(rows, name).toEqual([]);
  }
  expect((await databases[0].query(all)).rows).toEqual(before);
  // Its statement makes a row even of an empty list.
  expect(insertRows({ ...orders, by: 'note' }, ['note']).nothing).toBeUndefined();
});

test('sessions with the next server of a shard know its statements before it comes, and nothing is done there', async () => {
  const { connections, databases } = await testDatastore();
  const announced = new Set<(handOver: HandOver) => void>();
  const map = shardMapOf(connections);
  const source: ShardMapSource = {
    current: map,
    changed: () => () => {},
    refresh: async () => map,
    announced: (listener) => {
      announced.add(listener);
      return () => announced.delete(listener);
    },
  };
  const db = new Datastore(source);
  onTestFinished(() => db.disconnect({ deadlineMs: 1_000 }));
  await databases[1].query(`
    create schema shard0002;
    create table shard0002.entities (like shard0005.entities including all);
    create sequence shard0002.table_id_seq;
    create function shard0002.next_id() returns bigint language sql as
      $$ select hypervault.next_id('shard0002.table_id_seq'::regclass, 2) $$`);
  const key = await db.put(2, 1, { a: '1' });
  await db.get(key);
  expect(db.stats().b!.clients).toBe(0);
  const tell = (handOver: HandOver): void => {
    for (const listener of announced) listener(handOver);
  };
  // Planning takes as long as it takes: nobody waits for it, so nothing is made of its being slow.
  const lock = await databases[1].client();
  await lock.query('begin; lock table shard0002.entities in access exclusive mode');
  tell({ shardId: 77, server: 'b' });
  tell({ shardId: 2, server: 'nobody' });
  tell({ shardId: 2, server: 'a' });
  tell({ shardId: 2, server: 'b' });
  const planned = async (): Promise<string[]> => {
    const { rows } = await databases[1].query(
      `select query from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid() and query like '%"shard0002".entities%'`,
    );
    return rows.map(({ query }) => query as string);
  };
  const atLock = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
  await waitFor(async () => (await databases[1].query(atLock)).rowCount === 2, { what: 'both being planned' });
  // Longer than a statement may take that somebody waits for.
  await lock.query('select pg_sleep(0.1); rollback');
  await waitFor(async () => (await planned()).length === 2, { what: 'a read and a write planned on b' });
  expect(db.stats().b!.slowShards).toEqual([]);
  expect((await planned()).map((text) => /insert|select id, type/.exec(text)?.[0]).sort()).toEqual([
    'insert',
    'select id, type',
  ]);
  expect((await databases[1].query('select from shard0002.entities')).rows).toEqual([]);
  expect((await databases[1].query('select is_called from shard0002.table_id_seq')).rows).toEqual([
    { is_called: false },
  ]);
  // The clients are given back like those of any lane that has nothing to do.
  await waitFor(() => db.stats().b!.idle === db.stats().b!.clients, { what: 'idle clients' });
  await db.disconnect();
  expect(announced.size).toBe(0);
});
