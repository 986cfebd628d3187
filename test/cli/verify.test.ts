import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { hypervault } from '../support/cli.ts';
import { freshDatabases } from '../support/database.ts';

/** Shards 5 and 6 on two servers, a configuration, a folder for bookmarks. */
async function copies() {
  const directory = await mkdtemp(join(tmpdir(), 'verify-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const [a, b] = await freshDatabases();
  for (const { query } of [a, b]) {
    for (const shard of ['shard0005', 'shard0006']) {
      await query(`create schema ${shard}; create table ${shard}.t (id bigint primary key, note text);
        insert into ${shard}.t select n, 'n' from generate_series(1, 100) as n`);
    }
  }
  const [left, right] = [a, b].map(({ connection: { host, port, user, password, database } }) => ({
    hosts: [`${host}:${port}`],
    user,
    password,
    database,
  }));
  const config = join(directory, 'hypervault.json');
  await writeFile(config, JSON.stringify({ servers: { a: left, b: right } }));
  const verify = (...words: string[]) => hypervault(['verify', ...words, '--config', config]);
  return { a, b, verify, bookmarks: join(directory, 'bookmarks.json') };
}

test('verify ends with 0 for good copies, with 1 for a difference, with 2 for wrong use', async () => {
  const { b, verify } = await copies();
  const good = await verify('5-7', '--from', 'a', '--to', 'b');
  expect(good).toMatchObject({ exitCode: 0, stderr: expect.stringMatching(/shards: 5 6\n(.*\n)*all the same/) });
  expect(good.stdout).toMatch(/6 +t +100 +1 +0 +0 +same/);
  await b.query('delete from shard0006.t where id = 7');
  const wrong = await verify('5-7', '--from', 'a', '--to', 'b');
  expect(wrong).toMatchObject({ exitCode: 1, stdout: expect.stringMatching(/6 +t .*missing 7/) });
  const [, json] = (await verify('5-7', '--from', 'a', '--to', 'b', '--json')).json();
  expect(json).toMatchObject({ shard: 6, rows: '100', differences: [{ key: ['7'], kind: 'missing' }] });
  expect(await verify('5-7', '--from', 'a', '--to', 'x')).toMatchObject({
    exitCode: 2,
    stderr: expect.stringMatching(/no server "x"; servers: a, b/),
  });
  expect((await verify('5-7', '--from', 'a', '--to', 'a')).exitCode).toBe(2);
  expect(await verify('5', '--from', 'a', '--to', 'b')).toMatchObject({
    exitCode: 2,
    stderr: expect.stringMatching(/5-6/),
  });
});

test('bookmarks keep what was found the same, and never pass a difference', async () => {
  const { b, verify, bookmarks } = await copies();
  const words = ['5-7', '--from', 'a', '--to', 'b', '--bookmarks', bookmarks];
  await b.query('delete from shard0006.t where id = 7');
  expect((await verify(...words)).exitCode).toBe(1);
  expect(JSON.parse(await readFile(bookmarks, 'utf8')).shards).toEqual({ 5: 'same', 6: { table: 't' } });
  const again = await verify(...words, '--json');
  expect(again.json()).toMatchObject([{ shard: 6, differences: [{ key: ['7'] }] }]);
  await b.query(`insert into shard0006.t values (7, 'n')`);
  expect((await verify(...words)).exitCode).toBe(0);
  expect(await verify(...words, '--json')).toMatchObject({ exitCode: 0, stdout: '' });
  const other = await verify('5-7', '--from', 'b', '--to', 'a', '--bookmarks', bookmarks);
  expect(other).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/comparison of a with b/) });
  await writeFile(bookmarks, 'nonsense');
  expect((await verify(...words)).stderr).toMatch(/was not written by hypervault verify/);
});
