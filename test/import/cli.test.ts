import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { readImportConfig } from '../../src/import/config/read-config.ts';
import { hypervault } from '../support/cli.ts';
import { importFixture, mariadbOfFile } from './fixture.ts';

const mariadb = mariadbOfFile();

it('writes an example configuration that can be read, for its owner alone', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hypervault-import-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const made = join(folder, 'own');
  const run = () => hypervault(['import', 'set-configuration-files', '--folder', made, '--json']);
  const example = join(made, 'configuration', 'config-example.yml');
  expect((await run()).json()).toEqual([{ folder: made, example, written: true }]);
  expect((await run()).json()).toEqual([{ folder: made, example, written: false }]);
  expect(((await stat(join(made, 'logs'))).mode & 0o777).toString(8)).toBe('700');
  const config = await readImportConfig(example, { PG_PASSWORD: 'p', MYSQL_PASSWORD: 'q' });
  expect(config.warnings).toEqual([]);
  expect([...config.sources.keys()]).toEqual(['mysql']);
  // What is commented out is right as well
  const whole = join(folder, 'whole.yml');
  const text = (await readFile(example, 'utf8'))
    .replace(/^( *)# (\w+:| {2}tinyint)/gm, '$1$2')
    .replaceAll(/^ *(shard_by|reference_tables):.*$/gm, '');
  await writeFile(whole, text);
  expect((await readImportConfig(whole, { PG_PASSWORD: 'p', MYSQL_PASSWORD: 'q' })).overrides).toHaveProperty([
    'tinyint(1)',
  ]);
});

it('takes a pg_chameleon file from the catalogue to a detached database, by commands alone', {
  timeout: 60_000,
}, async () => {
  const f = await importFixture(mariadb(), {
    source: { copy_mode: 'file', out_dir: '/tmp', my_server_id: 100, on_error_read: 'continue' },
  });
  await f.source(
    'create table t (id int auto_increment primary key, v varchar(9)); insert into t (v) values ("a"), ("b")',
  );
  const folder = await mkdtemp(join(tmpdir(), 'hypervault-import-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'default.yml');
  await writeFile(file, JSON.stringify(f.config));
  const run = async (...args: string[]) => hypervault(['import', ...args, '--config', file, '--json']);
  const created = await run('create-replica-schema');
  expect(created.exitCode).toBe(0);
  expect(created.stderr).toMatch(/copy_mode has no meaning here/);
  expect((await run('add-source')).json()).toEqual([{ added: true }]);
  expect((await run('init-replica', '--source', 'shop')).json()).toMatchObject([
    { rows: 2, tables: [{ failure: null }] },
  ]);
  expect((await run('show-status')).json()).toMatchObject([{ name: 'shop', status: 'initialised' }]);
  expect((await run('show-config')).stdout).not.toMatch(/mariadb-secret/);
  expect((await run('start-replica', '--source', 'nope')).exitCode).not.toBe(0);
  expect((await run('detach-replica')).exitCode).toBe(2);
  await f.source('insert into t (v) values ("c")');
  expect((await run('detach-replica', '--yes')).json()).toMatchObject([{ sequences: 1 }]);
  expect(await f.rows(`select v from ${f.schema}.t order by id`)).toEqual([{ v: 'a' }, { v: 'b' }, { v: 'c' }]);
});
