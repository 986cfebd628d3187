import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { install } from '../../src/core/index.ts';
import { hypervault } from '../support/cli.ts';
import { freshDatabase, freshDatabases, type TestDatabase } from '../support/database.ts';

async function liveConfiguration(pool: object = {}, controlPort?: number) {
  const directory = await mkdtemp(join(tmpdir(), 'init-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const [a, b] = await freshDatabases();
  const control = await freshDatabase();
  const plain = ({ connection: { host, port, user, password, database } }: TestDatabase) => ({
    hosts: [`${host}:${port}`],
    user,
    password,
    database,
  });
  const config = join(directory, 'hypervault.json');
  const away = controlPort === undefined ? {} : { hosts: [`127.0.0.1:${controlPort}`] };
  const servers = { a: plain(a), b: plain(b), control: { ...plain(control), ...away } };
  await writeFile(config, JSON.stringify({ servers, control: 'control', shards: 'live', pool }));
  return { a, b, run: (...words: string[]) => hypervault([...words, '--config', config]) };
}

test('with live shards init makes the first map, then follows it, also to a server that holds nothing yet', async () => {
  const { a, b, run } = await liveConfiguration();
  const without = await run('init');
  expect(without).toMatchObject({
    exitCode: 2,
    stderr: expect.stringMatching(/holds no map yet; .*--first-shards a=/),
  });
  expect((await run('init', '--first-shards', 'a:1-3')).stderr).toMatch(/is not like db1=1-33/);
  expect((await run('init', '--first-shards', 'x=1-3')).stderr).toMatch(/no server "x"; servers: a, b, control/);
  const first = await run('init', '--first-shards', 'a=1-5', '--json');
  expect(first).toMatchObject({ exitCode: 0 });
  expect(first.json()).toMatchObject([
    {
      servers: [
        { name: 'a', shards: 4 },
        { name: 'b', shards: 0 },
        { name: 'control', shards: 0 },
      ],
      mapMade: true,
    },
  ]);
  expect((await a.query('select server, epoch::int from hypervault.owners()')).rows).toEqual(
    Array(4).fill({ server: 'a', epoch: 1 }),
  );
  // The empty server is ready to take shards.
  expect((await b.query('select slots from hypervault.settings')).rows).toEqual([{ slots: 4 }]);
  expect((await run('init', '--first-shards', 'a=1-5')).stderr).toMatch(/there is a map already \(epoch 1\)/);
  await a.query('drop schema shard0003 cascade');
  expect((await run('init')).stderr).toMatch(/shard 3 should be on a and is not; .*--make-missing/);
  const again = await run('init', '--make-missing');
  expect(again).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^a +4 +1$/m) });
  const status = await run('status', '--shards');
  expect(status.exitCode).toBe(0);
  expect(status.stdout).toMatch(/^ +4 +a +a +\d+\.0 kB +.*core 1\.\d+/m);
  expect((await run('status', '--json')).json()).toMatchObject([
    { name: 'a', shards: [{ shardId: 1, owner: 'a', epoch: '1' }, {}, {}, {}], replication: { standbys: [] } },
    { name: 'b', shards: [] },
    { name: 'control' },
  ]);
});

test('init tells what the pools may open, and warns when it is too much', async () => {
  const { run } = await liveConfiguration({ poolMax: 19 });
  const few = await run('init', '--first-shards', 'a=1-2', 'b=2-3', '--processes', '3');
  expect(few.stdout).toMatch(/^connections on +max_connections +reserved +3 processes +room for$/m);
  expect(few.stdout).toMatch(/^b +400 +3 +60 +19 processes$/m);
  expect(few.stderr).not.toMatch(/warning/);
  const many = await run('init', '--processes', '20', '--json');
  expect(many.exitCode).toBe(0);
  expect(many.stderr).toMatch(/20 processes may open 400 sessions on a, which takes 397/);
  expect(many.json()).toMatchObject([{ budget: [{ server: 'a', needed: 400, fits: false }, {}, {}] }]);
});

test('status shows what is up while the control database is away', async () => {
  const { a, run } = await liveConfiguration({}, 1);
  await install([{ ...a.connection, name: 'a', shards: '1-3' }]);
  const status = await run('status', '--shards');
  expect(status).toMatchObject({
    exitCode: 1,
    stderr: expect.stringMatching(/warning: no shard map: .*127\.0\.0\.1:1/),
  });
  expect(status.stdout).toMatch(/^a +\S+ +primary /m);
  expect(status.stdout).toMatch(/^control +\S+ +down /m);
  expect(status.stdout).toMatch(/^ +2 +a +a /m);
});
