// What do getMany and putMany of 10,000 cost beside one hand-written statement per server?
import pg from 'pg';
import { Datastore } from 'pg-hypervault';
import { fillEntities, type Target, targets } from './support/fill.ts';
import { decodeHstore, encodeHstore } from './support/hstore-text.ts';
import { median, type Result, rounded } from './support/result.ts';
import { type BenchServers, POOL_MAX, SHARDS, schemaOf, withServers } from './support/servers.ts';

const COUNT = 10_000;
const TURNS = 5;
const SHARD = 5;

export const run = (): Promise<Result[]> =>
  withServers(async (servers) => {
    await fillEntities(servers, 5_000);
    const db = new Datastore(servers.connections, { poolMax: POOL_MAX });
    const clients = servers.connections.map((connection) => new pg.Client(connection));
    await Promise.all(clients.map((client) => client.connect()));
    const wanted = targets(5_000, SHARDS, COUNT);
    const keys = wanted.map(({ key }) => key);
    const bodies = wanted.map(({ id }) => ({ name: `Person ${id}`, city: 'Reykjavík', note: null, token: id }));
    try {
      return [
        await compare('getMany', { ours: () => db.getMany(keys), byHand: () => getByHand(servers, clients, wanted) }),
        await compare('putMany', {
          ours: () => db.putMany(SHARD, 1, bodies),
          byHand: () => putByHand(clients[servers.of(SHARD)]!, bodies),
        }),
      ];
    } finally {
      await Promise.all([db.disconnect(), ...clients.map((client) => client.end())]);
    }
  });

type Job = () => Promise<unknown[]>;

async function compare(call: string, { ours, byHand }: { ours: Job; byHand: Job }): Promise<Result> {
  const took = { ours: [] as number[], byHand: [] as number[] };
  for (let turn = -1; turn < TURNS; turn++) {
    for (const [name, job] of [
      ['ours', ours],
      ['byHand', byHand],
    ] as const) {
      const start = performance.now();
      const rows = await job();
      const ms = performance.now() - start;
      if (rows.length !== COUNT) throw new Error(`${call}, ${name}: ${rows.length} rows`);
      if (turn >= 0) took[name].push(ms);
    }
  }
  const perSecond = (all: number[]): number => rounded((COUNT * 1_000) / median(all));
  return {
    bench: 'many',
    call,
    unit: 'rows/s',
    ours: perSecond(took.ours),
    rivals: { 'a statement per server by hand': perSecond(took.byHand) },
  };
}

/** One `union all` over the shards of each server. */
async function getByHand(
  servers: BenchServers,
  clients: readonly pg.Client[],
  wanted: readonly Target[],
): Promise<unknown[]> {
  const found = new Map<string, unknown>();
  await Promise.all(
    clients.map(async (client, server) => {
      const shards = SHARDS.filter((shardId) => servers.of(shardId) === server);
      const ids = shards.map((shardId) => wanted.filter((target) => target.shardId === shardId).map(({ id }) => id));
      const parts = shards.map(
        (shardId, i) =>
          `select id, type, body, updated from ${schemaOf(shardId)}.entities where id = any($${i + 1}::bigint[])`,
      );
      const { rows } = await client.query({ name: 'all', text: parts.join(' union all '), values: ids });
      for (const row of rows) found.set(row.id, { ...row, body: decodeHstore(row.body) });
    }),
  );
  return wanted.map(({ id }) => found.get(id));
}

async function putByHand(client: pg.Client, bodies: readonly Record<string, string | null>[]): Promise<unknown[]> {
  const text = `insert into ${schemaOf(SHARD)}.entities (type, body) select 1, unnest($1::text[])::hstore returning id`;
  const { rows } = await client.query({ name: 'put', text, values: [bodies.map(encodeHstore)] });
  return rows.map(({ id }) => BigInt(id));
}
