// npm run demo: real data on real servers, in under a minute, with nothing but Node.
import { Datastore, type Key } from 'pg-hypervault';
import { initCluster, liveShardMap } from 'pg-hypervault/cluster';
import { type EmbeddedConnection, startEmbedded } from 'pg-hypervault/embedded';
import { type City, SOURCE, someCities } from './cities.ts';
import { growByOneServer } from './grow.ts';
import { loadCities } from './load-cities.ts';
import { outage } from './outage.ts';
import { number, progress, say, seconds, step, table } from './say.ts';

const COUNT = 20_000;
const RANGES = ['1-9', '9-17'];

step('Three Postgres servers, the third for later');
const servers = await startEmbedded({ servers: 3 });
for (const [i, { port }] of servers.servers.entries()) say(`server ${i + 1} listens on 127.0.0.1:${port}`);

const [server1, server2, server3] = servers.connections as [EmbeddedConnection, EmbeddedConnection, EmbeddedConnection];
// The map of the shards is kept in a database, too; programs follow it, and go on without it.
const cluster = { control: server1, servers: { server1, server2, server3 } };
await makeShards();
const map = await liveShardMap(cluster);
const db = await new Datastore(map, { poolBlockTimeoutMs: 1_000 }).connect();
try {
  const { cities, keys, from, to } = await load();
  await readBack(cities, keys);
  showIds(cities, keys);
  await scan(keys.length, from, to);
  const visits = await growByOneServer(db, cluster, keys);
  await killAndRestart(cities, keys, visits);
} finally {
  await db.disconnect();
  await map.close();
  await servers.stop();
}
step('Done');
say('all servers are stopped and their data is gone; read on in README.md, or keep servers with: npx hypervault dev');

async function makeShards(): Promise<void> {
  step('Sixteen shards: each is a schema, 1 to 8 on server 1 and 9 to 16 on server 2');
  const bar = progress('shards made');
  const start = performance.now();
  const connections = [server1, server2].map((server, i) => ({
    ...server,
    name: `server${i + 1}`,
    shards: RANGES[i]!,
  }));
  await initCluster(connections, cluster.control, { onProgress: ({ done, total }) => bar.at(done, total) });
  bar.end(`16 shards made in ${seconds(performance.now() - start)}`);
}

async function load(): Promise<{ cities: City[]; keys: Key[]; from: Date; to: Date }> {
  step(`Loading ${number(COUNT)} ${SOURCE}`);
  const cities = someCities(COUNT);
  const bar = progress('cities stored');
  const start = performance.now();
  const from = new Date();
  const keys = await loadCities(db, cities, (done) => bar.at(done, COUNT));
  const took = performance.now() - start;
  bar.end(`${number(COUNT)} cities stored by 256 callers in ${seconds(took)}, each on disk before it was acknowledged`);
  say(`the name of a city says its shard: ${cities[0]!.name} goes to shard ${db.shardFor(cities[0]!.name)}, always`);
  for (const [i, range] of RANGES.entries()) {
    const count = keys.filter(({ shardId }) => serverOf(shardId) === i).length;
    say(
      `server ${i + 1}, shards ${range.replace(/-.*/, '')} to ${Number(range.replace(/.*-/, '')) - 1}: ${number(count)} cities`,
    );
  }
  return { cities, keys, from, to: new Date() };
}

async function readBack(cities: readonly City[], keys: readonly Key[]): Promise<void> {
  step('Reading all of them back, one call each');
  const start = performance.now();
  const entities = await Promise.all(keys.map((key) => db.get(key)));
  const took = performance.now() - start;
  const wrong = entities.filter((entity, i) => !sameBody(entity?.body, cities[i]!)).length;
  say(
    `${number(keys.length)} calls at the same moment took ${seconds(took)}; ${number(wrong)} differ from what was stored`,
  );
  if (wrong > 0) throw new Error(`${wrong} cities were not read as they were stored`);
  const { kind, body } = entities[0]!;
  say(`for example: kind ${kind}, ${JSON.stringify(body)}`);
}

function showIds(cities: readonly City[], keys: readonly Key[]): void {
  step('An id says when and where its row was made');
  const picked = [0, 1, 2, COUNT - 1].map((i) => ({ key: keys[i]!, name: cities[i]!.name }));
  table([
    ['id', 'made at', 'shard', 'server', 'city'],
    ...picked.map(({ key, name }) => [
      key.toString(),
      key.created.toISOString(),
      String(key.shardId),
      String(serverOf(key.shardId) + 1),
      name,
    ]),
  ]);
}

async function scan(count: number, from: Date, to: Date): Promise<void> {
  step('Scanning by time, over all shards of both servers, in one order');
  const middle = new Date((from.getTime() + to.getTime()) / 2);
  const seen = { rows: 0, shards: new Set<number>(), inOrder: true, first: [] as string[] };
  let last = 0n;
  for await (const { key, body } of db.scan({ from: middle, to: new Date(to.getTime() + 1) })) {
    seen.rows += 1;
    seen.shards.add(key.shardId);
    seen.inOrder &&= key.id > last;
    last = key.id;
    if (seen.first.length < 5) seen.first.push(`${body.name} (shard ${key.shardId})`);
  }
  say(
    `made in the second half of the load: ${number(seen.rows)} of ${number(count)} cities, from ${seen.shards.size} shards`,
  );
  say(`the first of them: ${seen.first.join(', ')}`);
  say(seen.inOrder ? 'every one came after the one before it' : 'they came in the wrong order');
  if (!seen.inOrder) throw new Error('the scan was out of order');
}

async function killAndRestart(cities: readonly City[], keys: readonly Key[], earlier: readonly Key[]): Promise<void> {
  step('Killing server 2 while 16 callers read and write');
  const living = keys.filter(({ shardId }) => serverOf(shardId) === 0);
  const dying = keys.filter(({ shardId }) => serverOf(shardId) === 1);
  const visits = [...earlier, ...(await outage(db, servers.servers[1]!, { living, dying }))];

  step('Counting what is there');
  const before = await db.getMany(keys);
  const during = await db.getMany(visits);
  const lost =
    before.filter((entity, i) => !sameBody(entity?.body, cities[i]!)).length + during.filter((e) => e === null).length;
  say(
    `${number(keys.length)} cities and ${number(visits.length)} rows acknowledged during move and outage: ${number(lost)} lost`,
  );
  if (lost > 0) throw new Error(`${lost} rows were lost`);
}

function serverOf(shardId: number): number {
  return shardId < 9 ? 0 : 1;
}

function sameBody(body: object | undefined, city: City): boolean {
  return body !== undefined && Object.entries(city).every(([field, value]) => (body as City)[field] === value);
}
