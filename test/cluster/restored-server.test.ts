// A server that comes back from an old backup takes itself for the owner of what has moved away since.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import {
  fsck,
  initCluster,
  liveShardMap,
  type MapDocument,
  MapStore,
  ownerCheck,
  retireOutdated,
} from '../../src/cluster/index.ts';
import { type ConnectionSettings, Datastore, install } from '../../src/core/index.ts';
import type { EmbeddedServer } from '../../src/embedded/index.ts';
import { hypervault } from '../support/cli.ts';
import { freshDatabase, freshDatabases } from '../support/database.ts';
import { ownServers } from '../support/own-server.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

const MOVED: MapDocument = { epoch: 2n, servers: { a: '1-3', b: '3-5' } };
const ME = { author: 'test', comment: 'shard 3 to b' };

async function query(connection: ConnectionSettings, text: string): Promise<void> {
  const client = new pg.Client(connection as pg.ClientConfig);
  await client.connect();
  await client.query(text).finally(() => client.end());
}

/** The server's data as it is now; the returned function puts it back. */
async function backup(server: EmbeddedServer): Promise<() => Promise<void>> {
  const { dataDirectory } = server;
  const copy = `${dataDirectory}-backup`;
  const run = promisify(execFile);
  await server.stop();
  await run('cp', ['-Rp', dataDirectory, copy]);
  await server.start();
  return async () => {
    await server.stop();
    await rm(dataDirectory, { recursive: true });
    await run('cp', ['-Rp', copy, dataDirectory]);
    await server.start();
  };
}

/** Servers that can be stopped and put back, and the cluster on them. */
async function ownCluster() {
  const { servers: own } = await ownServers({ servers: 2, settings: { fsync: false } });
  const [a, b] = [own[0]!, own[1]!];
  return { a, b, ...(await cluster({ a: a.connection, b: b.connection })) };
}

async function cluster(servers: { a: ConnectionSettings; b: ConnectionSettings }) {
  const control = await freshDatabase();
  const connections = [
    { ...servers.a, name: 'a', shards: '1-4' },
    { ...servers.b, name: 'b', shards: '4-5' },
  ];
  await initCluster(connections, control.connection);
  const store = new MapStore(control.connection);
  await store.start();
  onTestFinished(() => store.stop());
  const open = async (): Promise<Datastore> => {
    const live = await liveShardMap({ control: control.connection, servers });
    onTestFinished(() => live.close());
    const db = new Datastore(live, { poolBlockTimeoutMs: 2_000 });
    onTestFinished(() => db.disconnect({ deadlineMs: 1_000 }));
    return db;
  };
  return { servers, control, store, open };
}

async function configFile(configuration: object): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'restored-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const file = join(directory, 'hypervault.json');
  await writeFile(file, JSON.stringify(configuration));
  return file;
}

/** What the end of a move leaves: the new owner's copy, and the old one that names it. */
async function handOver(servers: { a: ConnectionSettings; b: ConnectionSettings }): Promise<void> {
  await install([{ ...servers.b, shards: '3-4' }], { slots: 4, firstShard: 1, modules: ['core', 'cluster'] });
  await query(servers.a, `select hypervault.claim('shard0003', 'b', 2)`);
  await query(servers.b, `select hypervault.claim('shard0003', 'b', 2)`);
}

test('a map that the owner rows contradict is not saved', async () => {
  const [a, b] = await freshDatabases();
  const { servers, store } = await cluster({ a: a.connection, b: b.connection });
  const check = ownerCheck(servers);
  const early = await rejection(store.publish(MOVED, ME, { check }));
  expect(early).toMatchObject({ code: 'MAP_REFUSED', problems: [{ kind: 'elsewhere', shardId: 3, server: 'b' }] });
  expect(early.message).toMatch(/shard 3 belongs to a since epoch 1, the new map says b/);
  const lost = await rejection(store.publish({ epoch: 2n, servers: { a: '1-3', b: '4-5' } }, ME, { check }));
  expect(lost.message).toMatch(/shard 3 would be in no map, and a owns it/);
  const made = await rejection(store.publish({ epoch: 2n, servers: { a: '1-4', b: '4-6' } }, ME, { check }));
  expect(made.message).toMatch(/nothing says that shard 5 belongs to b/);
  const unknown = { epoch: 2n, servers: { a: '1-3', b: '4-5', c: '3-4' } };
  expect((await rejection(store.publish(unknown, ME, { check }))).message).toMatch(
    /c is in the map and not in the conf/,
  );
  expect((await store.history()).map(({ document }) => document.epoch)).toEqual([1n]);
  await handOver(servers);
  await store.publish(MOVED, ME, { check });
  expect((await rejection(store.publish({ epoch: 3n, servers: { a: '1-4', b: '4-5' } }, ME, { check }))).code).toBe(
    'MAP_REFUSED',
  );
  expect((await store.read())!.document.epoch).toBe(2n);
});

test('a server restored from an old backup is refused, also by who is at work, until fsck has retired what is old', async () => {
  const { a, servers, store, open, control } = await ownCluster();
  const db = await open();
  await db.put(1, 1, { a: '1' });
  const restore = await backup(a);
  await handOver(servers);
  await store.publish(MOVED, ME, { check: ownerCheck(servers) });
  await db.put(3, 1, { on: 'b' });
  await db.put(1, 1, { a: '2' });
  await restore();

  // At work since before the restore: refused at the first session it opens.
  const refused = await waitFor(async () => {
    const error = await db.put(1, 1, { a: '3' }).then(
      () => undefined,
      (cause: Error) => cause,
    );
    return error !== undefined && 'problems' in error ? error : undefined;
  });
  expect(refused).toMatchObject({ code: 'SERVER_OUTDATED', server: 'a', problems: [{ kind: 'double', shardId: 3 }] });
  expect(refused.message).toMatch(/^a does not fit the shard map of epoch 2, .*hypervault fsck/);
  expect((await rejection((await open()).put(1, 1, {}))).code).toBe('SERVER_OUTDATED');
  await db.put(4, 1, { b: 'well' });

  const { problems } = await fsck(MOVED, servers);
  expect(problems).toMatchObject([{ kind: 'double', shardId: 3 }]);
  // Never the newer one.
  expect(await retireOutdated('b', MOVED, servers)).toEqual([]);
  const config = { servers: { ...servers, control: control.connection }, control: 'control', shards: 'live' };
  const fixed = await hypervault(['fsck', '--retire', 'a', '--config', await configFile(config)]);
  expect(fixed).toMatchObject({ exitCode: 0, stderr: expect.stringMatching(/retired on a: 3\n/) });
  expect((await fsck(MOVED, servers)).problems).toEqual([]);
  await waitFor(() =>
    db.put(1, 1, { a: '4' }).then(
      () => true,
      () => false,
    ),
  );
});

test('a server that lacks a shard it was given is refused, and init makes no empty one in its place', async () => {
  const { b, servers, store, open, control } = await ownCluster();
  const restore = await backup(b);
  await handOver(servers);
  await store.publish(MOVED, ME, { check: ownerCheck(servers) });
  await restore();
  const error = await rejection((await open()).put(4, 1, {}));
  expect(error).toMatchObject({ code: 'SERVER_OUTDATED', problems: [{ kind: 'missing', shardId: 3 }] });
  const connections = [
    { ...servers.a, name: 'a', shards: '1-3' },
    { ...servers.b, name: 'b', shards: '3-5' },
  ];
  const again = await rejection(initCluster(connections, control.connection));
  expect(again).toMatchObject({ code: 'MAP_REFUSED', problems: [{ kind: 'missing', shardId: 3, server: 'b' }] });
});
