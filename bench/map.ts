// How large is a map of 8,192 shards on 200 servers, how long does a program take to start with it, and to look a shard up?
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Datastore } from 'pg-hypervault';
import { formatMapDocument, liveShardMap, type MapDocument, MapStore } from 'pg-hypervault/cluster';
import { startEmbedded } from 'pg-hypervault/embedded';
import { cpuRate } from './support/cpu-rate.ts';
import { median, type Result, rounded } from './support/result.ts';

const SHARDS = 8_192;
const SERVERS = 200;
const RUNS = 7;
const LOOKUPS = 5_000_000;

const names = Array.from({ length: SERVERS }, (_, place) => `db${String(place + 1).padStart(3, '0')}`);

/** Ranges as at the first init, and what many moves may leave at the worst: no two neighbours on one server. */
const LAYOUTS: Readonly<Record<string, MapDocument>> = {
  'one range a server': documentOf((shardId) => Math.floor((shardId * SERVERS) / SHARDS)),
  'no two neighbours together': documentOf((shardId) => shardId % SERVERS),
};

function documentOf(serverOf: (shardId: number) => number): MapDocument {
  const ranges = new Map<string, string[]>(names.map((name) => [name, []]));
  let from = 0;
  for (let shardId = 1; shardId <= SHARDS; shardId++) {
    if (shardId < SHARDS && serverOf(shardId) === serverOf(from)) continue;
    ranges.get(names[serverOf(from)]!)!.push(`${from}-${shardId}`);
    from = shardId;
  }
  return { epoch: 1n, servers: Object.fromEntries([...ranges].map(([name, parts]) => [name, parts.join(',')])) };
}

export async function run(): Promise<Result[]> {
  const embedded = await startEmbedded();
  const folder = await mkdtemp(join(tmpdir(), 'map-'));
  try {
    const results: Result[] = [];
    for (const [layout, document] of Object.entries(LAYOUTS)) {
      const [{ connection }] = embedded.servers as [(typeof embedded.servers)[0]];
      const store = new MapStore(connection);
      await store.start();
      const epoch = ((await store.read())?.document.epoch ?? 0n) + 1n;
      await store.publish({ ...document, epoch }, { author: 'bench', comment: layout });
      await store.stop();
      const cacheFile = join(folder, `${layout}.json`);
      const servers = Object.fromEntries(names.map((name) => [name, connection]));
      const fromControl: number[] = [];
      const withoutControl: number[] = [];
      let lookupNs = 0;
      for (let n = 0; n < RUNS; n++) {
        const started = performance.now();
        const map = await liveShardMap({ control: connection, servers, cacheFile });
        const db = new Datastore(map);
        fromControl.push(performance.now() - started);
        lookupNs =
          1e9 / cpuRate(LOOKUPS, (index) => db.map.serverOf((index * 2_654_435_761) & (SHARDS - 1)).ranges.length);
        await db.disconnect();
        await map.close();
        const away = { ...connection, port: 1 };
        const again = performance.now();
        const offline = await liveShardMap({ control: away, servers, cacheFile, startTimeoutMs: 20 });
        const other = new Datastore(offline);
        withoutControl.push(performance.now() - again);
        await other.disconnect();
        await offline.close();
      }
      const bytes = formatMapDocument(document).byteLength;
      results.push({
        bench: 'map',
        case: `start with ${SHARDS} shards on ${SERVERS} servers, ${layout}`,
        goal: 'at most 200 ms',
        unit: 'ms',
        ours: rounded(median(fromControl)),
        slowestMs: rounded(Math.max(...fromControl)),
        withoutControlMs: rounded(median(withoutControl)),
        documentBytes: bytes,
        cacheFileBytes: (await stat(cacheFile)).size,
      });
      results.push({
        bench: 'map',
        case: `look a shard up, ${layout}`,
        goal: 'at most 50 ns',
        unit: 'ns',
        ours: rounded(lookupNs),
      });
    }
    return results;
  } finally {
    await embedded.stop();
    await rm(folder, { recursive: true, force: true });
  }
}
