import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { dropReferences, syncReferences } from '../../src/cluster/index.ts';
import { hypervault } from '../support/cli.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { testDatastore } from '../support/datastore.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

const COUNTRIES = `create table countries (code text primary key, name text not null);\n`;

async function setting(files: Record<string, string> = { '001-countries.sql': COUNTRIES }) {
  const directory = await mkdtemp(join(tmpdir(), 'reference-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const write = (name: string, text: string) => writeFile(join(directory, name), text);
  for (const [name, text] of Object.entries(files)) await write(name, text);
  const { db, databases } = await testDatastore();
  // A third database, on the cluster of the first: a slot made by the subscription would wait for itself.
  const c = await freshDatabase();
  const [a, b] = databases;
  const servers = { a: a.connection, b: b.connection, c: c.connection };
  onTestFinished(() => removeLinks([a, b, c]));
  return { a, b, c, db, servers, directory, write };
}

async function removeLinks(databases: readonly TestDatabase[]): Promise<void> {
  for (const { query } of databases) {
    const { rows } = await query(
      'select subname from pg_subscription join pg_database on pg_database.oid = subdbid where datname = current_database()',
    );
    for (const { subname } of rows) {
      await query(`alter subscription ${subname} disable`);
      await query(`alter subscription ${subname} set (slot_name = none)`);
      await query(`drop subscription ${subname}`);
    }
  }
  for (const { query } of databases) {
    await waitFor(async () => {
      await query(
        'select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database() and not active',
      );
      const { rows } = await query('select from pg_replication_slots where database = current_database()');
      return rows.length === 0;
    });
  }
}

const count = async ({ query }: TestDatabase): Promise<number> =>
  (await query('select count(*)::int as n from reference.countries')).rows[0].n;

test('tables are made everywhere, written at home, read beside the rows of any shard', async () => {
  const { a, b, c, db, servers, directory, write } = await setting();
  const made = await syncReferences(servers, { home: 'a', directory });
  expect(made).toMatchObject({ schema: 'reference', home: 'a', tables: ['countries'], copies: [{ made: true }, {}] });
  await a.query(`insert into reference.countries values ('it', 'Italia'), ('de', 'Deutschland')`);
  await waitFor(async () => (await count(b)) === 2 && (await count(c)) === 2);

  await db.put(7, 1, { country: 'it' });
  const joined = await db.withCursor(7, (cursor) =>
    cursor.query(`select name from entities join reference.countries on code = body->'country'`),
  );
  expect(joined.rows).toEqual([{ name: 'Italia' }]);
  const refused = await rejection(b.query(`insert into reference.countries values ('fr', 'France')`));
  expect(refused).toMatchObject({ code: 'SV050', detail: '{"server" : "a"}' });
  expect(refused.message).toMatch(/write to the table on a/);

  // Later: another column, another table.
  await write('002-more.sql', 'alter table countries add currency text; create table units (unit text primary key);\n');
  expect(await syncReferences(servers, { home: 'a', directory })).toMatchObject({
    tables: ['countries', 'units'],
    copies: [{ made: false }, { made: false }],
  });
  await a.query(`update reference.countries set currency = 'EUR'; insert into reference.units values ('m')`);
  for (const { query } of [b, c]) {
    await waitFor(async () => {
      const { rows } = await query('select currency from reference.countries join reference.units on true');
      return rows.length === 2 && rows[0].currency === 'EUR';
    });
  }
});

test('a copy that lost its slot is made anew; one that is ended takes writes', async () => {
  const { a, b, servers, directory } = await setting();
  const two = { a: servers.a, b: servers.b };
  await syncReferences(two, { home: 'a', directory });
  await a.query(`insert into reference.countries values ('it', 'Italia')`);
  await waitFor(async () => (await count(b)) === 1);
  await b.query(
    `do $$ declare _name text := (select subname from pg_subscription join pg_database d on d.oid = subdbid
       where datname = current_database()); begin execute format('alter subscription %I disable', _name); end $$`,
  );
  await waitFor(async () => {
    await a.query(
      'select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database() and not active',
    );
    return (await a.query('select from pg_replication_slots where database = current_database()')).rows.length === 0;
  });
  await a.query(
    `insert into reference.countries values ('de', 'Deutschland'); delete from reference.countries where code = 'it'`,
  );
  expect(await syncReferences(two, { home: 'a', directory })).toMatchObject({ copies: [{ made: true }] });
  expect((await b.query('select code from reference.countries')).rows).toEqual([{ code: 'de' }]);
  await dropReferences(two, 'b', { home: 'a' });
  await b.query(`insert into reference.countries values ('fr', 'France')`);
  expect((await a.query('select from pg_replication_slots where database = current_database()')).rows).toEqual([]);
});

test('what can not be is said', async () => {
  const { servers, directory, write } = await setting();
  const two = { a: servers.a, b: servers.b };
  expect((await rejection(syncReferences(two, { home: 'x', directory }))).message).toMatch(
    /no server "x"; servers: a, b/,
  );
  await syncReferences(two, { home: 'a', directory });
  expect((await rejection(syncReferences(two, { home: 'b', directory }))).message).toMatch(/come from another home/);
  await write('002-keyless.sql', 'create table plain (a int);\n');
  const keyless = await rejection(syncReferences(two, { home: 'a', directory }));
  expect(keyless.message).toMatch(/need a primary key: reference\.plain/);
  expect((await rejection(dropReferences(two, 'a', { home: 'a' }))).message).toMatch(/is their home/);
});

test('from the command line', async () => {
  const { servers, directory, write } = await setting();
  const config = join(directory, 'hypervault.json');
  await write('hypervault.json', JSON.stringify({ servers }));
  const run = (...words: string[]) => hypervault(['reference', ...words, '--home', 'a', '--config', config]);
  const synced = await run('sync', directory, '--server', 'b');
  expect(synced).toMatchObject({
    exitCode: 0,
    stdout: expect.stringMatching(/^reference: countries\n.*\na +home\nb +copied\n$/),
  });
  expect((await run('sync', directory, '--server', 'b', '--json')).json()).toMatchObject([
    { copies: [{ made: false }] },
  ]);
  expect(await run('remove', 'b')).toMatchObject({ exitCode: 0, stderr: expect.stringMatching(/b keeps no copy/) });
});

test('several that make the copies at once take turns: each copy is made once, and whole', {
  timeout: 60_000,
}, async () => {
  const { a, b, c, servers, directory } = await setting();
  const [first, second] = await Promise.all([
    syncReferences(servers, { home: 'a', directory }),
    syncReferences(servers, { home: 'a', directory }),
  ]);
  const made = [first, second].map(({ copies }) => copies.map((copy) => copy.made));
  expect(made.sort()).toEqual([
    [false, false],
    [true, true],
  ]);
  await a.query(`insert into reference.countries values ('it', 'Italia')`);
  await waitFor(async () => (await count(b)) === 1 && (await count(c)) === 1);
});
