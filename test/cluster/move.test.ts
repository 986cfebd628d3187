import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { finishMoves, MOVE_STEPS, moveShards } from '../../src/cluster/index.ts';
import { movableCluster, type ShardDatabase } from '../support/movable-cluster.ts';
import { waitFor } from '../support/wait-for.ts';
import { lostOf, startWriters } from './writers.ts';

const OWN_TABLES = `-- A table with everything that a move must carry.
create table orders (
  id bigint primary key default next_id(),
  number serial unique,
  customer bigint generated always as identity,
  total numeric not null,
  tags text[] default '{}'
);
create index orders_total on orders (total) where total > 0;
create table lines (id bigint primary key default next_id(), "order" bigint references orders on delete cascade, what text);
`;

async function folder(files: Record<string, string>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'move-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
  return directory;
}

test('a shard moves with its entities, tables, sequences, and nothing is left behind', async () => {
  const cluster = await movableCluster();
  await cluster.migrate(await folder({ '001-orders.sql': OWN_TABLES }));
  const db = await cluster.datastore();
  const key = await db.put(2, 1, { a: '1' });
  await cluster.a.query(`insert into shard0002.orders (total) select n from generate_series(1, 100) as n`);
  await cluster.a.query(`insert into shard0002.lines ("order", what) select id, 'x' from shard0002.orders`);
  const steps: string[] = [];
  const [move] = await moveShards(
    cluster.setting,
    { shards: [2], to: 'b' },
    {
      acceptStaleReads: true,
      onProgress: ({ step }) => steps.push(step),
    },
  );
  expect([...new Set(steps)]).toEqual(
    MOVE_STEPS.filter((step) => !['pause', 'fence', 'flip', 'cleanup'].includes(step)),
  );
  const { rows: kept } = await cluster.control.query(`select detail from hypervault.move_steps where step = 'open'`);
  expect(Object.keys(kept[0].detail.partsMs).sort()).toEqual([
    'arrived',
    'fenced',
    'flipped',
    'locked',
    'opened',
    'prepared',
    'shut',
  ]);
  expect(move).toMatchObject({ state: 'moved', source: 'a', target: 'b' });
  expect(await cluster.owners(2)).toEqual(['b']);
  expect((await db.get(key))?.body).toEqual({ a: '1' });
  await db.put(2, 1, { b: '2' });
  const { rows } = await cluster.b.query('select count(*)::int as n, max(number) as number from shard0002.orders');
  expect(rows[0]).toEqual({ n: 100, number: 100 });
  const more = await cluster.b.query('insert into shard0002.orders (total) values (1) returning number, customer');
  expect(more.rows[0]).toEqual({ number: 1125, customer: '1125' });
  // Somebody who opens it once more, as after a crash, does not set its sequences back.
  await cluster.b.query(`select hypervault.move_open('shard0002', 'b', 2, '{"orders_number_seq": 7}', false)`);
  const next = await cluster.b.query('insert into shard0002.orders (total) values (1) returning number');
  expect(next.rows[0].number).toBe(1126);
  await finishMoves(cluster.setting);
  expect(await cluster.leftovers()).toEqual([]);
});

test('a rehearsal of what a pause does changes nothing', async () => {
  const { a } = await movableCluster();
  await a.query(`insert into shard0002.entities (type, body) values (1, '')`);
  const look = `select server, epoch, since, used from shard0002.hv_owner, hypervault.shard_sequences('shard0002')`;
  const before = (await a.query(look)).rows;
  await a.query(`create table shard0002.hv_move (what text, marker bigint, sequences jsonb)`);
  await a.query(`insert into shard0002.hv_move values ('sequences', null, null)`);
  await a.query(`select hypervault.move_shut('shard0002', 'b', 99, true)`);
  await a.query(`select hypervault.move_stop('shard0002', 2, true)`);
  await a.query(`select hypervault.move_open('shard0002', 'b', 99, '{}', true)`);
  expect((await a.query(look)).rows).toEqual(before);
  expect((await a.query('select sequences from shard0002.hv_move')).rows).toEqual([{ sequences: null }]);
  await a.query(`insert into shard0002.entities (type, body) values (1, '')`);
});

async function rowsOn(database: ShardDatabase): Promise<number> {
  return (await database.query('select count(*)::int as n from shard0002.entities')).rows[0].n;
}

test('a shard moves while programs write: no call fails, nothing is lost, no id comes twice', async () => {
  const cluster = await movableCluster();
  await cluster.migrate(await folder({ '001-orders.sql': OWN_TABLES }));
  const writers = await startWriters({ live: cluster.setting, shards: [2], writers: 16, table: 'orders' });
  await moveShards(
    cluster.setting,
    { shards: [2], to: 'b' },
    {
      acceptStaleReads: true,
    },
  );
  const before = await rowsOn(cluster.b);
  await waitFor(async () => (await rowsOn(cluster.b)) > before + 100, { what: 'writes on the new server' });
  const report = await writers.stop();
  expect(report.failures).toEqual([]);
  expect(report.calls).toBeGreaterThan(100);
  expect(await lostOf(cluster.b, 'shard0002', report)).toEqual([]);
  await finishMoves(cluster.setting);
  expect(await cluster.leftovers()).toEqual([]);
});
