import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { mapOf, planDrain, readMap, runPlan, surveyShards } from '../../src/cluster/index.ts';
import { hypervault } from '../support/cli.ts';
import { movableCluster } from '../support/movable-cluster.ts';

async function cluster() {
  const made = await movableCluster({ shards: ['1-6', '6-7'] });
  const directory = await mkdtemp(join(tmpdir(), 'rebalance-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const config = join(directory, 'hypervault.json');
  const servers = { ...made.setting.servers, control: made.setting.control };
  await writeFile(config, JSON.stringify({ servers, control: 'control', shards: 'live' }));
  const run = (...words: string[]) =>
    hypervault([...words, '--rest-ms', '50', '--accept-stale-reads', '--config', config]);
  const map = async () => (await readMap(made.setting.control))!.document.servers;
  return { ...made, run, map };
}

test('rebalance shows its plan, carries it out under a write load, and has nothing to do the second time', async () => {
  const { run, map, datastore, leftovers } = await cluster();
  const dry = await run('rebalance', '--dry-run', '--by', 'shards');
  expect(dry).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^a +5 .* 3 .*\nb +1 .* 3 /m) });
  expect(await map()).toEqual({ a: '1-6', b: '6-7' });
  const db = await datastore();
  const keys: unknown[] = [];
  const stop = new AbortController();
  const writing = Promise.all(
    [1, 2, 3, 4, 5, 6].map(async (shardId) => {
      while (!stop.signal.aborted) keys.push(await db.put(shardId, 1, { a: '1' }));
    }),
  );
  const done = await run('rebalance', '--by', 'shards');
  stop.abort();
  await writing;
  expect(done).toMatchObject({
    exitCode: 0,
    stderr: expect.stringMatching(
      /1 of 2: shard \d is on b \([\d.]+ a minute, .* left\)\n[\s\S]*2 of 2: shard \d is on b/,
    ),
  });
  expect(db.map.shards).toHaveLength(6);
  const shards = (await map()).b!.split(',').length;
  expect(shards).toBeGreaterThan(0);
  expect(await leftovers()).toEqual([]);
  let found = 0;
  for await (const _ of db.scan()) found += 1;
  expect(found).toBe(keys.length);
  const again = await run('rebalance', '--by', 'shards');
  expect(again.stdout).toMatch(/nothing to move/);
});

test('drain empties a server, taking up what an earlier run had begun', { timeout: 60_000 }, async () => {
  const { run, map, setting, leftovers } = await cluster();
  const document = (await readMap(setting.control))!.document;
  const plan = planDrain(await surveyShards(mapOf(document, setting.servers)), 'b', ['a']);
  // The first run stops in the middle of its only move.
  const stop = new AbortController();
  const interrupted = runPlan(setting, plan.moves, {
    acceptStaleReads: true,
    signal: stop.signal,
    onStep: (step, phase) => {
      if (step === 'copy' && phase === 'acted') stop.abort();
    },
  });
  await expect(interrupted).rejects.toMatchObject({ code: 'ABORTED' });
  expect(await map()).toEqual({ a: '1-6', b: '6-7' });
  const drained = await run('drain', 'b', '--json');
  expect(drained).toMatchObject({ exitCode: 0 });
  expect(drained.json()).toMatchObject([{ moves: [{ shardId: 6, from: 'b', to: 'a' }] }]);
  expect(await map()).toEqual({ a: '1-7', b: '' });
  expect(await leftovers()).toEqual([]);
  expect((await run('drain', 'b')).stdout).toMatch(/nothing to move/);
  for (const [option, ...wrong] of [
    ['drain', 'drain', 'x'],
    ['--to', 'drain', 'a', '--to', 'x'],
    ['--with', 'rebalance', '--with', 'x'],
  ]) {
    const { exitCode, stderr } = await run(...wrong);
    expect([exitCode, stderr]).toEqual([2, expect.stringMatching(`${option}: there is no server "x"; servers: a, b`)]);
  }
  expect(await run('drain', 'a', '--to', 'a')).toMatchObject({ exitCode: 2 });
});

test('moves that fail are told, the others are done', { timeout: 60_000 }, async () => {
  const { run, a, map } = await cluster();
  await a.query('create unlogged table shard0001.scratch (id int primary key)');
  const failed = await run('drain', 'a', '--concurrency', '1');
  expect(failed).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/shard 1 from a to b failed: .*scratch/) });
  expect(await map()).toEqual({ a: '1-2', b: '2-7' });
  await a.query('drop table shard0001.scratch');
  const client = new pg.Client(a.connection);
  await client.connect();
  await client.query('begin; select pg_current_xact_id()');
  expect(await run('drain', 'a', '--slot-within-ms', '500')).toMatchObject({
    exitCode: 1,
    stderr: expect.stringMatching(/a made no replication slot within 500 ms/),
  });
  await client.end();
  expect(await run('drain', 'a')).toMatchObject({ exitCode: 0 });
});
