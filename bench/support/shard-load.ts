// Writers and readers of shards in a process of their own, through the SDK over the live map: node shard-load.ts '{…}'.
// At the end of its input it prints every call: when it ended, how long it took, whose it was.

import { type ChildProcess, fork } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { ConnectionSettings } from 'pg-hypervault';
import { Datastore, type Key } from 'pg-hypervault';
import { liveShardMap } from 'pg-hypervault/cluster';

export interface ShardLoad {
  readonly control: ConnectionSettings;
  readonly servers: Readonly<Record<string, ConnectionSettings>>;
  readonly shards: readonly number[];
  readonly writers: number;
  /** Pause of each writer between two calls, in the mean: half of it to half as much again, so that they never go in step. */
  readonly everyMs: number;
  /** Own tables `t1` to `t<tables>`; 0 writes entities only. */
  readonly tables: number;
}

/** `[ended (ms since 1970), took (ms), writer]`. */
export type Call = readonly [number, number, number];

/** How long calls took, in ms. */
export const took = (calls: readonly Call[]): number[] => calls.map(([, ms]) => ms);

export interface ShardLoadReport {
  readonly calls: readonly Call[];
  readonly failures: readonly string[];
  /** Ids acknowledged: `<table> <id>`. */
  readonly acked: readonly string[];
}

/** Starts the load; `stop` resolves with every call. */
export async function startShardLoad(load: ShardLoad): Promise<{ stop: () => Promise<ShardLoadReport> }> {
  const child: ChildProcess = fork(import.meta.filename, [JSON.stringify(load)], {
    stdio: ['pipe', 'pipe', 'inherit', 'ipc'],
  });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  await lines.next();
  return {
    stop: async () => {
      child.stdin!.end();
      const { value } = await lines.next();
      return JSON.parse(value as string) as ShardLoadReport;
    },
  };
}

async function serve({ control, servers, shards, writers, everyMs, tables }: ShardLoad): Promise<void> {
  const map = await liveShardMap({ control, servers });
  const db = new Datastore(map, { poolMax: 16 });
  const calls: Call[] = [];
  const failures: string[] = [];
  const acked: string[] = [];
  let stopping = false;
  const table = (n: number) => db.table(`t${(n % tables) + 1}`);
  const write = async (writer: number): Promise<void> => {
    let last: Key | undefined;
    for (let n = writer; !stopping; n += 1) {
      // More shards than writers: each writer has several, in turns.
      const turn = shards.length > writers ? n * writers : 0;
      const shardId = shards[(writer + turn) % shards.length]!;
      const began = performance.now();
      try {
        if (tables > 0 && n % 3 === 0) {
          const row = (await table(n).insert({ name: `writer ${writer}`, n }, { shardId })) as { id: bigint };
          acked.push(`t${(n % tables) + 1} ${row.id}`);
        } else if (n % 3 === 1 || last === undefined) {
          last = await db.put(shardId, 1, { writer: String(writer), n: String(n) });
          acked.push(`entities ${last}`);
        } else {
          await db.update(last, { n: String(n) });
        }
        const tookMs = performance.now() - began;
        calls.push([Date.now(), Math.round(tookMs * 100) / 100, writer]);
      } catch (error) {
        failures.push(`${(error as { code?: string }).code}: ${(error as Error).message}`);
      }
      if (everyMs > 0) await new Promise((resolve) => setTimeout(resolve, everyMs * (0.5 + Math.random())));
    }
  };
  const writing = Array.from({ length: writers }, (_, writer) => write(writer));
  process.stdout.write('ready\n');
  process.stdin.resume();
  await new Promise((resolve) => process.stdin.once('end', resolve));
  stopping = true;
  await Promise.all(writing);
  await db.disconnect();
  await map.close();
  process.stdout.write(`${JSON.stringify({ calls, failures, acked })}\n`, () => process.exit(0));
}

if (process.argv[1] === import.meta.filename) await serve(JSON.parse(process.argv[2]!) as ShardLoad);
