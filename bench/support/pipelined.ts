// The raw measure: nothing but `id = any($1)` on one pipelined session per server, two batches in flight. No errors told
// apart, no bounds, no reconnecting – what is left of the speed when a library adds those is the question.
import pg from 'pg';
import type { Target } from './fill.ts';
import type { GetRival, Reading } from './rival.ts';
import { type BenchServers, schemaOf } from './servers.ts';

interface Waiting {
  readonly target: Target;
  readonly resolve: (row: unknown) => void;
  readonly reject: (error: unknown) => void;
}

const IN_FLIGHT = 2;
const BATCH = 512;

export async function pipelined(servers: BenchServers, { table, columns, decode }: Reading): Promise<GetRival> {
  const lanes = await Promise.all(
    servers.connections.map(async (connection) => {
      const client = new pg.Client({ ...connection, pipeline: true } as pg.ClientConfig);
      await client.connect();
      return { client, waiting: [] as Waiting[], inFlight: 0 };
    }),
  );
  const send = (lane: (typeof lanes)[number]): void => {
    if (lane.inFlight === IN_FLIGHT || lane.waiting.length === 0) return;
    const batch = lane.waiting.splice(0, BATCH);
    const byShard = new Map<number, Waiting[]>();
    for (const one of batch) {
      const shard = byShard.get(one.target.shardId);
      if (shard === undefined) byShard.set(one.target.shardId, [one]);
      else shard.push(one);
    }
    lane.inFlight += 1;
    const statements = [...byShard].map(async ([shardId, callers]) => {
      const text = `select ${columns} from ${schemaOf(shardId)}.${table} where id = any($1::bigint[])`;
      const values = [callers.map(({ target }) => target.id)];
      const { rows } = await lane.client.query({ name: `many${shardId}`, text, values });
      const found = new Map(rows.map((row) => [row.id, decode(row)]));
      for (const { target, resolve } of callers) resolve(found.get(target.id));
    });
    Promise.all(statements)
      .catch((error) => {
        for (const { reject } of batch) reject(error);
      })
      .finally(() => {
        lane.inFlight -= 1;
        send(lane);
      });
  };
  return {
    get: (target) =>
      new Promise((resolve, reject) => {
        const lane = lanes[servers.of(target.shardId)]!;
        lane.waiting.push({ target, resolve, reject });
        // Callers of the same moment go together.
        if (lane.waiting.length === 1) queueMicrotask(() => send(lane));
      }),
    close: async () => {
      await Promise.all(lanes.map(({ client }) => client.end()));
    },
  };
}
