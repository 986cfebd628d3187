import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import {
  fsck,
  initCluster,
  LiveShardMap,
  liveShardMap,
  type MapDocument,
  MapMissingError,
  MapStore,
  ownerCheck,
  rebuildMap,
} from '../../src/cluster/index.ts';
import { HAND_OVER_KEY, MAP_NAMESPACE } from '../../src/cluster/map-store.ts';
import { Datastore, install } from '../../src/core/index.ts';
import { ADVISORY_LOCK_CLASS } from '../../src/internal/advisory-locks.ts';
import { PostgresCommitStorage } from '../../src/kv/index.ts';
import { freshDatabase, freshDatabases } from '../support/database.ts';
import { ownServers } from '../support/own-server.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

async function cluster() {
  const [a, b] = await freshDatabases();
  const control = await freshDatabase();
  const servers = { a: a.connection, b: b.connection };
  const connections = [
    { ...a.connection, name: 'a', shards: '1-5' },
    { ...b.connection, name: 'b', shards: '5-9' },
  ];
  const result = await initCluster(connections, control.connection);
  const store = new MapStore(control.connection);
  await store.start();
  onTestFinished(() => store.stop());
  return { a, b, control, servers, connections, store, result };
}

/** Hands shard 4 to b, as the end of a move does. */
const NEXT: MapDocument = { epoch: 2n, servers: { a: '1-4', b: '4-9' } };
const ME = { author: 'test', comment: 'shard 4 to b' };

test('init makes shards, owners and the first map, and is harmless to repeat', async () => {
  const { a, control, connections, servers, store, result } = await cluster();
  expect(result.mapMade).toBe(true);
  expect(result.map).toEqual({ epoch: 1n, servers: { a: '1-5', b: '5-9' } });
  const { rows } = await a.query('select shard, server, epoch::text from hypervault.owners()');
  expect(rows).toEqual([1, 2, 3, 4].map((shard) => ({ shard, server: 'a', epoch: '1' })));
  const again = await initCluster(connections, control.connection);
  expect(again.mapMade).toBe(false);
  expect((await store.history()).map(({ document, author }) => [document.epoch, author])).toEqual([
    [1n, 'hypervault init'],
  ]);
  expect((await fsck(result.map, servers)).problems).toEqual([]);
  const nameless = await rejection(initCluster([{ ...a.connection, shards: '1-2' }], control.connection));
  expect(nameless.message).toMatch(/needs a name/);
});

test('who follows the map is told of a hand-over ahead, and never of an old one', async () => {
  const { control, servers, store } = await cluster();
  await store.announce({ shardId: 3, server: 'b' }, ME);
  const map = await liveShardMap({ control: control.connection, servers });
  onTestFinished(() => map.close());
  const told: unknown[] = [];
  const forget = map.announced((handOver) => told.push(handOver));
  await Promise.all([store.announce({ shardId: 4, server: 'b' }, ME), store.announce({ shardId: 4, server: 'b' }, ME)]);
  await waitFor(() => told.length > 0, { what: 'the announcement' });
  expect(told[0]).toEqual({ shardId: 4, server: 'b' });
  // What a later version may write is left aside, and the map goes on.
  const kv = new PostgresCommitStorage({ connection: control.connection, table: MAP_NAMESPACE });
  await kv.start();
  onTestFinished(() => kv.stop());
  const { version } = (await kv.get(HAND_OVER_KEY))!;
  const strange = { key: HAND_OVER_KEY, payload: Buffer.from('{"shard":"four"}'), author: 'test', comment: '' };
  await kv.save({ ...strange, version: version + 1 });
  await store.publish(NEXT, ME);
  await waitFor(() => map.current.epoch === 2n, { what: 'the new map' });
  expect(told.every((handOver) => (handOver as { shardId: number }).shardId === 4)).toBe(true);
  const before = told.length;
  forget();
  await store.announce({ shardId: 1, server: 'b' }, ME);
  await store.publish({ ...NEXT, epoch: 3n }, ME);
  await waitFor(() => map.current.epoch === 3n, { what: 'the new map' });
  expect(told).toHaveLength(before);
});

test('of two who change the map at once one wins, and history says who and why', async () => {
  const { store } = await cluster();
  const outcomes = await Promise.allSettled(
    ['ann', 'bob'].map((author) => store.publish(NEXT, { author, comment: `by ${author}` })),
  );
  const failed = outcomes.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
  expect(failed).toHaveLength(1);
  expect(failed[0]!.reason).toMatchObject({ code: 'MAP_CONFLICT', expectedEpoch: 1n, actualEpoch: 2n });
  expect((await rejection(store.publish({ ...NEXT, epoch: 9n }, ME))).code).toBe('MAP_CONFLICT');
  const [newest] = await store.history();
  expect(newest!.comment).toMatch(/^by (ann|bob)$/);
});

test('a datastore over the live map follows a change without a restart', async () => {
  const { control, servers, store, b } = await cluster();
  const map = await liveShardMap({ control: control.connection, servers });
  onTestFinished(() => map.close());
  const db = new Datastore(map);
  onTestFinished(() => db.disconnect({ deadlineMs: 1_000 }));
  expect((await db.put(4, 1, { a: '1' })).shardId).toBe(4);
  await b.query(`create schema shard0004; create table shard0004.entities (like shard0005.entities including all);
    create table shard0004.hv_owner as select * from shard0005.hv_owner;
    create sequence shard0004.table_id_seq;
    create function shard0004.next_id() returns bigint language sql as $$ select hypervault.next_id('shard0004.table_id_seq', 4) $$`);
  await store.publish(NEXT, ME);
  await waitFor(() => db.map.epoch === 2n, { what: 'the new map' });
  await db.put(4, 1, { b: '2' });
  expect((await b.query('select count(*)::int as n from shard0004.entities')).rows[0].n).toBe(1);
});

test('refresh asks at once, and an older map is never taken', async () => {
  const { control, servers, store } = await cluster();
  const map = await liveShardMap({ control: control.connection, servers });
  onTestFinished(() => map.close());
  await store.publish(NEXT, ME);
  expect((await map.refresh()).epoch).toBe(2n);
  expect(map.current.serverOf(4).name).toBe('b');
});

test('without the control database the map on disk is good, and the live one is taken when it is back', async () => {
  const { store, servers, result } = await cluster();
  await store.stop();
  const directory = await mkdtemp(join(tmpdir(), 'map-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const cacheFile = join(directory, 'map.json');
  const { servers: own } = await ownServers();
  const control = own[0]!;
  const controlStore = new MapStore(control.connection);
  await controlStore.start();
  await controlStore.publish(result.map, ME);
  const first = await liveShardMap({ control: control.connection, servers, cacheFile });
  await first.close();
  expect(JSON.parse(await readFile(cacheFile, 'utf8'))).toEqual({ epoch: '1', servers: { a: '1-5', b: '5-9' } });
  await controlStore.stop();
  await control.kill();

  const started = performance.now();
  const offline = await liveShardMap({ control: control.connection, servers, cacheFile, startTimeoutMs: 300 });
  expect(performance.now() - started).toBeLessThan(2_000);
  onTestFinished(() => offline.close());
  expect([offline.following, offline.current.epoch]).toEqual([false, 1n]);
  expect((await offline.refresh()).epoch).toBe(1n);
  await control.start();
  await controlStore.start();
  await controlStore.publish(NEXT, ME);
  await waitFor(() => offline.current.epoch === 2n, { timeoutMs: 20_000, what: 'the live map' });
  await waitFor(async () => (await readFile(cacheFile, 'utf8')).includes('"2"'));
  await controlStore.stop();

  await writeFile(cacheFile, 'nonsense');
  expect((await rejection(liveShardMap({ control: control.connection, servers, cacheFile }))).code).toBe(
    'CONFIGURATION',
  );
});

test('without a map, or with a server nobody knows, the start says so', async () => {
  const { control, servers } = await cluster();
  const empty = await freshDatabase();
  expect((await rejection(liveShardMap({ control: empty.connection, servers }))).code).toBe('MAP_MISSING');
  const unknown = await rejection(liveShardMap({ control: control.connection, servers: { a: servers.a } }));
  expect(unknown.message).toMatch(/names the server "b"/);
  expect(LiveShardMap.name).toBe('LiveShardMap');
});

test('the map is made anew from the shards, and fsck names every contradiction', async () => {
  const { a, b, servers, result } = await cluster();
  expect(await rebuildMap(servers, 7n)).toEqual({ ...result.map, epoch: 7n });
  await a.query('drop schema shard0001 cascade');
  await a.query(`update shard0002.hv_owner set server = 'b'`);
  await a.query('update shard0003.hv_owner set epoch = 9');
  await b.query(`create schema shard0004; create table shard0004.hv_owner as select * from shard0005.hv_owner`);
  await b.query(`create schema shard0012; create table shard0012.hv_owner as select * from shard0005.hv_owner`);
  const { problems } = await fsck(result.map, servers);
  expect(problems.map(({ kind, shardId }) => [shardId, kind])).toEqual([
    [1, 'missing'],
    [2, 'unclaimed'],
    [3, 'newer'],
    [4, 'double'],
    [12, 'unmapped'],
  ]);
  expect((await rejection(rebuildMap(servers, 8n))).code).toBe('MAP_REFUSED');
  const away = await fsck(result.map, { ...servers, c: { host: '127.0.0.1', port: 1, database: 'x', user: 'x' } });
  expect(away.problems[0]).toMatchObject({ kind: 'unreachable', server: 'c' });
});

test('shards that were made before anybody wanted a map say whose they are, too', async () => {
  const [a, b] = await freshDatabases();
  const servers = { a: a.connection, b: b.connection };
  expect(await rejection(rebuildMap(servers, 1n))).toBeInstanceOf(MapMissingError);
  await install([
    { ...a.connection, name: 'a', shards: '1-5' },
    { ...b.connection, name: 'b', shards: '5-9' },
  ]);
  const map = { epoch: 1n, servers: { a: '1-5', b: '5-9' } };
  expect(await fsck(map, servers)).toEqual({ problems: [], shards: 8, servers: 2 });
  expect(await rebuildMap(servers, 1n)).toEqual(map);
});

test('a shard that leaves while its server is asked makes nobody take the server for an old one', async () => {
  const { a, control, servers, store } = await cluster();
  const map = await liveShardMap({ control: control.connection, servers });
  onTestFinished(() => map.close());
  const client = await a.client();
  await a.query('drop schema shard0004 cascade');
  let asked = 0;
  // The map is changed between two looks at it, as when a program is held up there.
  const late = new Proxy(client, {
    get: (session, name) => {
      if (name !== 'query') return Reflect.get(session, name);
      return async (text: string) => {
        asked += 1;
        if (asked === 2) await store.publish(NEXT, ME);
        return session.query(text);
      };
    },
  });
  await map.admit('a', late);
  expect(map.current.epoch).toBe(2n);
  // One that lacks what the map gives it, and goes on giving it, is old.
  await a.query('drop schema shard0003 cascade');
  expect(await rejection(map.admit('a', client))).toMatchObject({ code: 'SERVER_OUTDATED' });
});

test('the map that is made anew gives a shard whose move stopped behind its fence to where that says', async () => {
  const { a, b, servers, store } = await cluster();
  // As a move leaves it between fence and flip: the new copy is not opened.
  await a.query(`update shard0004.hv_owner set server = 'b', epoch = 2`);
  const strange = await rejection(rebuildMap({ a: servers.a }, 2n));
  expect(strange).toMatchObject({
    code: 'MAP_REFUSED',
    message: expect.stringMatching(/shard 4 on a says that it belongs to b, which this configuration does not have/),
  });
  expect((await rejection(rebuildMap(servers, 2n))).message).toMatch(/shard 4 should be on b and is not/);
  await b.query('create schema shard0004; create table shard0004.hv_owner (server text, epoch bigint)');
  await b.query('insert into shard0004.hv_owner values (null, 0)');
  const rebuilt = await rebuildMap(servers, 2n);
  expect(rebuilt).toEqual(NEXT);
  // Nor may anybody leave it out by hand.
  const without = { epoch: 2n, servers: { a: '1-4', b: '5-9' } };
  expect(await rejection(store.publish(without, ME, { check: ownerCheck(servers) }))).toMatchObject({
    code: 'MAP_REFUSED',
    message: expect.stringMatching(/shard 4 would be in no map, and a says that it belongs to b/),
  });
  await store.publish(rebuilt, ME, { check: ownerCheck(servers) });
});

test('of several that make the first map at once one wins, and the others take its map', async () => {
  const [a, b] = await freshDatabases();
  const control = await freshDatabase();
  const connections = [
    { ...a.connection, name: 'a', shards: '1-3' },
    { ...b.connection, name: 'b', shards: '3-5' },
  ];
  // Nobody sees the map of another before all have theirs ready.
  const storage = new PostgresCommitStorage({ connection: control.connection, table: MAP_NAMESPACE });
  await storage.start();
  await storage.stop();
  const results = await Promise.all(Array.from({ length: 3 }, () => initCluster(connections, control.connection)));
  expect(results.map(({ map }) => map)).toEqual(Array(3).fill({ epoch: 1n, servers: { a: '1-3', b: '3-5' } }));
  expect(results.filter(({ mapMade }) => mapMade)).toHaveLength(1);
});

test('init beside a move makes no shard anew that has left, and changes none that is on its way', async () => {
  const { a, control, connections } = await cluster();
  const holder = await a.client();
  const init = () => rejection(initCluster(connections, control.connection, { modules: ['streams'], concurrency: 1 }));
  const locks = `select from pg_locks where locktype = 'advisory' and not granted and database = (
    select oid from pg_database where datname = current_database())`;
  // It has read the map, and is at shard 3 when shard 4 leaves, as a move does.
  await holder.query('select pg_advisory_lock($1, 3)', [ADVISORY_LOCK_CLASS.install]);
  const beside = init();
  await waitFor(async () => (await a.query(locks)).rows.length === 1, { what: 'init to be at shard 3' });
  await a.query('drop schema shard0004 cascade');
  await holder.query('select pg_advisory_unlock_all()');
  expect(await beside).toMatchObject({
    code: 'SCHEMA',
    message: expect.stringMatching(/there is no schema shard0004 on this server/),
  });
  expect((await a.query(`select to_regnamespace('shard0004') is null as none`)).rows[0].none).toBe(true);

  await initCluster(connections, control.connection, { makeMissing: true });
  await holder.query('select pg_advisory_lock($1, 4)', [ADVISORY_LOCK_CLASS.shard]);
  expect(await init()).toMatchObject({
    code: 'SCHEMA',
    retryable: true,
    message: expect.stringMatching(/shard 4 is being moved or migrated/),
  });
});
