import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { initCluster } from '../../src/cluster/index.ts';
import { hypervault } from '../support/cli.ts';
import { freshDatabase, freshDatabases } from '../support/database.ts';

/** A cluster of two servers, its configuration file, and a folder with one migration. */
async function cluster() {
  const directory = await mkdtemp(join(tmpdir(), 'cli-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const [a, b] = await freshDatabases();
  const control = await freshDatabase();
  await initCluster(
    [
      { ...a.connection, name: 'a', shards: '1-3' },
      { ...b.connection, name: 'b', shards: '3-5' },
    ],
    control.connection,
  );
  const plain = ({ host, port, user, password, database }: typeof a.connection) => ({
    hosts: [`${host}:${port}`],
    user,
    password,
    database,
  });
  const config = join(directory, 'hypervault.json');
  await writeFile(
    config,
    JSON.stringify({
      servers: { a: plain(a.connection), b: plain(b.connection), control: plain(control.connection) },
      control: 'control',
      shards: 'live',
    }),
  );
  const migrations = join(directory, 'migrations');
  await mkdir(migrations);
  await writeFile(join(migrations, '001-t.sql'), 'create table t (id bigint primary key default next_id());\n');
  return { a, b, control, config, migrations };
}

test('migrate runs, shows and fails with the right exit codes', async () => {
  const { a, config, migrations } = await cluster();
  const dry = await hypervault(['migrate', migrations, '--dry-run', '--config', config, '--json']);
  expect(dry.json()).toEqual(
    [1, 2, 3, 4].map((shard) => ({ shard, server: shard < 3 ? 'a' : 'b', files: ['001-t.sql'] })),
  );
  await a.query('create table shard0002.t (other int)');
  const failed = await hypervault(['migrate', migrations, '--config', config]);
  expect(failed.exitCode).toBe(1);
  expect(failed.stderr).toMatch(/shard 2 on a failed/);
  await a.query('drop table shard0002.t');
  const done = await hypervault(['migrate', migrations, '--config', config]);
  expect(done).toMatchObject({ exitCode: 0, stderr: expect.stringMatching(/1 of 4 shards changed/) });
  const status = await hypervault(['migrate', '--status', '--config', config]);
  expect(status.stdout).toMatch(/4 +b +1 +001-t\.sql/);
  expect((await hypervault(['migrate', migrations, '--config', config, '--concurrency', '0'])).exitCode).toBe(2);
});

test('fsck ends with 1 when something is wrong; the map can be shown and made anew', async () => {
  const { a, config } = await cluster();
  expect(await hypervault(['map', 'show', '--config', config, '--json'])).toMatchObject({
    exitCode: 0,
    stdout: '{"epoch":"1","servers":{"a":"1-3","b":"3-5"}}\n',
  });
  const well = await hypervault(['fsck', '--config', config, '--json']);
  expect(well).toMatchObject({ exitCode: 0, stdout: '' });
  await a.query('drop schema shard0001 cascade');
  const wrong = await hypervault(['fsck', '--config', config]);
  expect(wrong.exitCode).toBe(1);
  expect(wrong.stdout).toMatch(/shard 1 should be on a and is not/);
  const history = await hypervault(['map', 'history', '--config', config]);
  expect(history.stdout).toMatch(/hypervault init +the first map/);
});
