// Does twice the number of servers carry twice the calls? Each server is held to the same small share of a processor, so
// that four of them fit on this machine beside the program that asks them.
import { Datastore, install, type Key } from 'pg-hypervault';
import { startEmbedded } from 'pg-hypervault/embedded';
import { type CpuShare, cpuGroups, holdToShare } from './support/cpu-share.ts';
import { load, type Seen, takeTurns } from './support/load.ts';
import { type Result, rounded } from './support/result.ts';
import { POOL_MAX } from './support/servers.ts';

const SERVERS = [1, 2, 4] as const;
/** Of one processor, for each server. */
const SHARE = 0.1;
const SHARDS_EACH = 4;
/** The same load offered to each server, however many there are. */
const CALLERS_EACH = 32;
const ENTITIES_EACH = 2_000;

export async function run(): Promise<Result[]> {
  const groups = await cpuGroups();
  if ('why' in groups) {
    console.log(`throughput is skipped: ${groups.why}`);
    return [];
  }
  const most = Math.max(...SERVERS);
  const embedded = await startEmbedded({ servers: most, settings: { autovacuum: 'off', max_wal_size: '4GB' } });
  const shares: CpuShare[] = [];
  const stores: Datastore[] = [];
  try {
    const entries = embedded.connections.map((connection, index) => ({
      ...connection,
      name: `server${index + 1}`,
      shards: `${index * SHARDS_EACH}-${(index + 1) * SHARDS_EACH}`,
    }));
    await install(entries);
    const keys = await fill(entries);
    for (const { pid, name } of embedded.servers) {
      const group = `hypervault-bench-${process.pid}-${name}`;
      shares.push(await holdToShare(groups.version, { pid: pid!, share: SHARE, name: group }));
    }
    const works: Record<string, (db: Datastore, shardId: number) => Promise<unknown>> = {
      get: (db, shardId) => db.get(oneOf(keys[shardId]!)),
      put: (db, shardId) => db.put(shardId, 1, { name: 'Person', city: 'Reykjavík', score: '7' }),
      'own transaction': (db, shardId) =>
        db.transaction(shardId, (cursor) => cursor.query('select id, body from entities order by id limit 10')),
    };
    for (const count of SERVERS) stores.push(new Datastore(entries.slice(0, count), { poolMax: POOL_MAX }));
    const results: Result[] = [];
    for (const [name, work] of Object.entries(works)) {
      const runs = Object.fromEntries(
        SERVERS.map((count, index) => [
          `${count}`,
          ({ durationMs }: { durationMs: number }) =>
            loadEvenly((shardId) => work(stores[index]!, shardId), { servers: count, durationMs }),
        ]),
      );
      results.push(resultOf(name, await takeTurns(runs, { turns: 3, durationMs: 1_200, warmUpMs: 600 })));
    }
    return results;
  } finally {
    await Promise.all(stores.map((db) => db.disconnect()));
    await embedded.stop();
    for (const share of shares) await share.release();
  }
}

/** Each caller stays with one shard, as those of one tenant do: so no server is offered more than another. */
function loadEvenly(
  work: (shardId: number) => Promise<unknown>,
  { servers, durationMs }: { servers: number; durationMs: number },
): Promise<Seen> {
  return load((caller) => work(caller % (servers * SHARDS_EACH)), { callers: CALLERS_EACH * servers, durationMs });
}

async function fill(entries: ConstructorParameters<typeof Datastore>[0]): Promise<Key[][]> {
  await using db = new Datastore(entries);
  const shards = Array.from({ length: Math.max(...SERVERS) * SHARDS_EACH }, (_, shardId) => shardId);
  const bodies = Array.from({ length: ENTITIES_EACH / SHARDS_EACH }, (_, n) => ({ name: `Person ${n}`, score: '7' }));
  return await Promise.all(shards.map((shardId) => db.putMany(shardId, 1, bodies)));
}

function oneOf<T>(list: readonly T[]): T {
  return list[Math.floor(Math.random() * list.length)]!;
}

function resultOf(call: string, seen: Readonly<Record<string, Seen>>): Result {
  const of = (field: keyof Seen): Record<string, number> =>
    Object.fromEntries(SERVERS.map((count) => [`${count} server${count === 1 ? '' : 's'}`, seen[count]![field]]));
  return {
    bench: 'throughput',
    case: call,
    goal: '1.9 × per doubling at equal p99',
    sharePerServer: SHARE,
    callersPerServer: CALLERS_EACH,
    unit: 'ops/s on 4 servers',
    ours: seen[4]!.perSecond,
    perSecond: of('perSecond'),
    p50Ms: of('p50Ms'),
    p99Ms: of('p99Ms'),
    times: {
      '1 to 2': rounded(seen[2]!.perSecond / seen[1]!.perSecond),
      '2 to 4': rounded(seen[4]!.perSecond / seen[2]!.perSecond),
    },
  };
}
