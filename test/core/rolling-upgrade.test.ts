// Two releases of the package on the same servers: this one, and a next one made of it with further SQL.
import { appendFile, cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { Datastore, install, type Key } from '../../src/core/index.ts';
import { SchemaError } from '../../src/errors.ts';
import { PROJECT, requireBuild } from '../support/built.ts';
import { freshDatabase } from '../support/database.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

type Package = typeof import('../../src/index.ts');

beforeAll(requireBuild);

/** The built package as the next version, with files added to its `sql/`, loaded beside the one under test. */
async function nextRelease(files: Readonly<Record<string, string>>): Promise<Package> {
  const folder = await mkdtemp(join(tmpdir(), 'hypervault-next-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const part of ['dist', 'sql']) await cp(join(PROJECT, part), join(folder, part), { recursive: true });
  const manifest = JSON.parse(await readFile(join(PROJECT, 'package.json'), 'utf8')) as { version: string };
  await writeFile(join(folder, 'package.json'), JSON.stringify({ ...manifest, version: '99.0.0' }));
  await symlink(join(PROJECT, 'node_modules'), join(folder, 'node_modules'));
  for (const [path, text] of Object.entries(files)) await appendFile(join(folder, 'sql', path), text);
  return (await import(pathToFileURL(join(folder, 'dist/index.js')).href)) as Package;
}

async function installed() {
  const database = await freshDatabase();
  const connections = [{ ...database.connection, name: 'a', shards: '1-5' }];
  await install(connections);
  const open = (): Datastore => {
    const db = new Datastore(connections);
    onTestFinished(() => db.disconnect());
    return db;
  };
  return { database, connections, open };
}

test('programs of this release go on, and new ones start, while the next one upgrades the schema under them', async () => {
  const { database, connections, open } = await installed();
  const next = await nextRelease({
    'core/server/003-next.sql': 'alter table :"schema".settings add colour text;\n',
    'core/shard/004-next.sql': `alter table :"schema".entities add colour text default 'red';\n`,
    'core/server/functions/next-ids.sql': '-- As of the next release.\n',
  });
  const db = open();
  const keys: Key[] = [];
  let on = true;
  const callers = Array.from({ length: 8 }, async (_, caller) => {
    while (on) {
      const key = await db.put(1 + (caller % 4), 1, { caller: String(caller) });
      expect((await db.get(key))?.body).toEqual({ caller: String(caller) });
      keys.push(key);
    }
  });
  try {
    await waitFor(() => keys.length > 50);
    await next.install(connections);
    const then = keys.length;
    await waitFor(() => keys.length > then + 50);
  } finally {
    on = false;
    await Promise.all(callers);
  }
  const { rows: upgraded } = await database.query('select colour from shard0001.entities limit 1');
  expect(upgraded).toEqual([{ colour: 'red' }]);
  // A process of this release that starts now, and one of the next: both read and write what the other wrote.
  const [older, newer] = [open(), new next.Datastore(connections)];
  onTestFinished(() => newer.disconnect());
  const ids = keys.map(({ id }) => id);
  expect((await newer.getMany(ids.map((id) => new next.Key(id)))).every((entity) => entity !== null)).toBe(true);
  const { id } = await newer.put(2, 1, { by: 'next' });
  expect(await older.reserveKeys(2, 10)).toHaveLength(10);
  expect((await older.getMany(keys)).every((entity) => entity !== null)).toBe(true);
  expect((await older.scan({ shards: [2] }).next()).value).toBeDefined();
  expect((await newer.get(new next.Key(id)))?.body).toEqual({ by: 'next' });
  // Installing again with this release takes nothing back.
  const functions = `select hash from hypervault.ledger where name = 'next-ids.sql'`;
  const { rows } = await database.query(functions);
  await install(connections);
  expect((await database.query(functions)).rows).toEqual(rows);
});

test('the next release with an incompatible schema works on this one; after its install, this release is refused', async () => {
  const { connections, open } = await installed();
  const next = await nextRelease({ 'core/server/003-next.sql': '-- schema release: 2\nselect 1;\n' });
  const running = open();
  const key = await running.put(1, 1, { a: '1' });
  // First the programs …
  const newer = new next.Datastore(connections);
  onTestFinished(() => newer.disconnect());
  expect((await newer.get(new next.Key(key.id)))?.body).toEqual({ a: '1' });
  // … then the schema.
  await next.install(connections);
  expect((await newer.put(1, 1, {})).shardId).toBe(1);
  expect((await running.get(key))?.body).toEqual({ a: '1' }); // a process that was forgotten ends no call
  const refused = await rejection(open().get(key));
  expect(refused).toBeInstanceOf(SchemaError);
  expect(refused.message).toBe(
    'a: the schema of core is of release 2 and this program knows 1; upgrade pg-hypervault in it',
  );
  expect((await rejection(install(connections))).message).toMatch(
    /is of schema release 2 and this program knows only 1/,
  );
});
