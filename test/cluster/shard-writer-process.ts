// A process of its own that writes and reads shards through the SDK until it is told to stop, and says what it was promised:
// node --import tsx shard-writer-process.ts '{"control":…,"servers":…,"shards":[2],"writers":8}'
// Prints "ready", and at the end of its input one line of JSON: see Report.

import { liveShardMap } from '../../src/cluster/index.ts';
import { Datastore, type Key, ShardMovedError } from '../../src/core/index.ts';
import type { WriterOptions, WriterReport } from './writers.ts';

const options = JSON.parse(process.argv[2]!) as WriterOptions;
const map = options.connections === undefined ? await liveShardMap(options.live!) : undefined;
const db = new Datastore(map ?? options.connections!);
const acked = new Map<string, number>();
const failures: string[] = [];
const latencies: number[] = [];
const timeline: [number, number][] = [];
let calls = 0;
let moved = 0;
let stopping = false;

async function timed<T>(work: () => Promise<T>): Promise<T> {
  const began = performance.now();
  const result = await work();
  const tookMs = performance.now() - began;
  calls += 1;
  latencies.push(tookMs);
  timeline.push([Date.now(), Math.round(tookMs * 10) / 10]);
  return result;
}

async function write(writer: number): Promise<void> {
  const shardId = options.shards[writer % options.shards.length]!;
  const mine: [Key, number][] = [];
  for (let n = 0; !stopping; n += 1) {
    try {
      const turn = n % 5;
      const known = mine[n % 37];
      if (turn === 0 || known === undefined) {
        const key = await timed(() => db.put(shardId, 1, { writer: String(writer), n: '0' }));
        mine.push([key, 0]);
        acked.set(key.toString(), 0);
      } else if (turn === 1) {
        const [key] = await timed(() => db.reserveKeys(shardId, 1));
        await timed(() => db.put(shardId, 1, { writer: String(writer), n: '0' }, { key: key! }));
        if (acked.has(key!.toString())) failures.push(`the id ${key} was given twice`);
        acked.set(key!.toString(), 0);
      } else if (turn === 2 && options.table !== undefined) {
        const row = await timed(() =>
          db.transaction(shardId, async (t) => {
            const made = await t.query(
              `insert into ${db.schemaOf(shardId)}.${options.table} (total) values (1) returning id`,
            );
            return made.rows[0] as { id: string };
          }),
        );
        acked.set(`${options.table} ${row.id}`, 0);
      } else if (turn === 3) {
        const [key, last] = known;
        const found = await timed(() => db.get(key));
        if (found === null) failures.push(`${key} was written and is not there`);
        else if (Number(found.body.n) < last) failures.push(`${key} is at ${found.body.n} and was at ${last}`);
      } else {
        const [key, last] = known;
        const now = await timed(() => db.update(key, { n: String(last + 1) }));
        if (now === null) failures.push(`${key} was written and could not be updated`);
        known[1] = last + 1;
        acked.set(key.toString(), last + 1);
      }
    } catch (error) {
      if (error instanceof ShardMovedError) moved += 1;
      else failures.push(`${(error as { code?: string }).code}: ${(error as Error).message}`);
      if (failures.length > 50 && !options.tolerant) stopping = true;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    if (options.everyMs) await new Promise((resolve) => setTimeout(resolve, options.everyMs));
  }
}

const writing = Array.from({ length: options.writers }, (_, writer) => write(writer));
process.stdout.write('ready\n');
process.stdin.resume();
await new Promise((resolve) => process.stdin.once('end', resolve));
stopping = true;
await Promise.all(writing);
latencies.sort((a, b) => a - b);
const at = (share: number): number =>
  latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
const report: WriterReport = {
  calls,
  moved,
  failures,
  acked: [...acked],
  p50Ms: at(0.5),
  p99Ms: at(0.99),
  maxMs: at(1),
  timeline: options.timeline ? timeline : [],
};
await db.disconnect({ deadlineMs: 1_000 });
await map?.close();
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
