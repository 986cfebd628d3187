import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import {
  finishMoves,
  type MigrateProgress,
  mapOf,
  migrate,
  migrationStatus,
  moveShards,
  readMap,
} from '../../src/cluster/index.ts';
import { shardMapOf } from '../../src/core/index.ts';
import { testDatastore } from '../support/datastore.ts';
import { movableCluster } from '../support/movable-cluster.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

async function folder(files: Record<string, string>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'migrations-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  await mkdir(join(directory, 'functions'));
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
  return directory;
}

const ORDERS = '-- Orders.\ncreate table orders (id bigint primary key default next_id(), total numeric);\n';

test('every shard gets every file once, in its own schema', async () => {
  const { db, connections } = await testDatastore<{ orders: { id: bigint; total: string; note: string } }>();
  const map = shardMapOf(connections);
  const directory = await folder({ '001-orders.sql': ORDERS });
  const progress: MigrateProgress[] = [];
  const dry = await migrate(map, { directory, dryRun: true });
  expect([...dry.applied.values()]).toEqual(Array(8).fill(['001-orders.sql']));
  const first = await migrate(map, { directory, onProgress: (step) => progress.push(step) });
  expect([...first.applied.keys()]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  expect(progress.at(-1)).toMatchObject({ done: 8, total: 8 });
  await writeFile(join(directory, '002-note.sql'), 'alter table orders add note text;\n');
  const second = await migrate(map, { directory });
  expect([...second.applied.values()]).toEqual(Array(8).fill(['002-note.sql']));
  expect([...(await migrate(map, { directory })).applied.values()]).toEqual(Array(8).fill([]));
  const row = await db.table('orders').insert({ total: '1.5', note: 'n' }, { shardId: 6 });
  expect(row).toMatchObject({ total: '1.5', note: 'n' });
  expect((await migrationStatus(map)).get(3)).toEqual(['001-orders.sql', '002-note.sql']);
});

test('shards that fail are told, the others are done, and a second run finishes', async () => {
  const { connections, databases } = await testDatastore();
  const map = shardMapOf(connections);
  await databases[0].query('create table shard0002.orders (other int)');
  const directory = await folder({ '001-orders.sql': ORDERS });
  const error = await rejection(migrate(map, { directory }));
  expect(error).toMatchObject({ code: 'MIGRATIONS_FAILED', failures: [{ shardId: 2, server: 'a' }] });
  expect(error.message).toMatch(/shard 2 on a failed: .*001-orders\.sql/);
  await databases[0].query('drop table shard0002.orders');
  const { applied } = await migrate(map, { directory });
  expect([...applied].filter(([, files]) => files.length > 0)).toEqual([[2, ['001-orders.sql']]]);
});

test('a table that is busy fails its shard after the lock time-out, and nothing queues behind it', async () => {
  const { connections, databases } = await testDatastore();
  const map = shardMapOf(connections);
  const directory = await folder({ '001-orders.sql': ORDERS });
  await migrate(map, { directory });
  await writeFile(join(directory, '002-note.sql'), 'alter table orders add note text;\n');
  const busy = await databases[0].client();
  await busy.query('begin');
  await busy.query('select * from shard0003.orders');
  const error = await rejection(migrate(map, { directory, lockTimeoutMs: 200 }));
  expect(error).toMatchObject({ failures: [{ shardId: 3 }] });
  await busy.query('commit');
  expect([...(await migrate(map, { directory, shards: [3] })).applied]).toEqual([[3, ['002-note.sql']]]);
});

test('what is wrong with the folder is told before anything runs', async () => {
  const { connections } = await testDatastore();
  const map = shardMapOf(connections);
  expect((await rejection(migrate(map, { directory: await folder({}) }))).message).toMatch(/holds no migrations/);
  const directory = await folder({ '001-orders.sql': ORDERS });
  expect((await rejection(migrate(map, { directory, shards: [99] }))).code).toBe('UNKNOWN_SHARD');
  await migrate(map, { directory });
  await writeFile(join(directory, '001-orders.sql'), `${ORDERS}-- changed\n`);
  expect((await rejection(migrate(map, { directory }))).message).toMatch(/001-orders\.sql/);
});

test('migrations that wait for a move run nowhere but where the shard is then', { timeout: 60_000 }, async () => {
  const { a, b, setting } = await movableCluster();
  const directory = await folder({ '001-orders.sql': ORDERS });
  const map = async () => mapOf((await readMap(setting.control))!.document, setting.servers);
  const before = await map();
  let migrating: Promise<unknown> | undefined;
  const waiting = `select from pg_locks where locktype = 'advisory' and classid = x'48560003'::int and not granted`;
  const [move] = await moveShards(
    setting,
    { shards: [2], to: 'b' },
    {
      acceptStaleReads: true,
      onStep: async (step) => {
        if (step !== 'publish' || migrating !== undefined) return;
        migrating = rejection(migrate(before, { directory }));
        await waitFor(async () => (await a.query(waiting)).rows.length === 1, { what: 'the migration to wait' });
      },
    },
  );
  expect(move!.state).toBe('moved');
  expect(await migrating).toMatchObject({
    code: 'MIGRATIONS_FAILED',
    failures: [{ shardId: 2, server: 'a', error: { code: 'SCHEMA', retryable: true } }],
    message: expect.stringMatching(/shard 2 has left a meanwhile; run the migrations again/),
  });
  expect((await a.query(`select to_regclass('shard0002.orders') is null as none`)).rows[0].none).toBe(true);
  expect([...(await migrate(await map(), { directory })).applied].filter(([, files]) => files.length > 0)).toEqual([
    [2, ['001-orders.sql']],
  ]);
  // Nor is a shard made anew that is not there any more.
  await finishMoves(setting);
  expect(await rejection(migrate(before, { directory, shards: [2] }))).toMatchObject({ code: 'MIGRATIONS_FAILED' });
  expect((await a.query(`select to_regnamespace('shard0002') is null as none`)).rows[0].none).toBe(true);
  expect((await b.query(`select to_regclass('shard0002.orders') is not null as there`)).rows[0].there).toBe(true);
});
