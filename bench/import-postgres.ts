// How fast does one big Postgres come over: its rows against a bare COPY pipe and a native subscription, and its changes
// against a native subscription? What memory does it take, and how old is a change when it arrives?
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { ReplicaEngine } from 'pg-hypervault/import';
import { CREATE_BIG, changeBig, fillBig, INDEX_BIG } from './support/changing-table.ts';
import { median, type Result, rounded } from './support/result.ts';
import { type BenchServers, withServers } from './support/servers.ts';

const ROWS = 200_000;
const CHANGES = 60_000;
const ROUNDS = 3;
const FRESH_MS = 5_000;

type Connection = BenchServers['connections'][number];

export const run = (): Promise<Result[]> =>
  withServers(async ({ connections }) => {
    const [source, target] = connections.map(({ shards: _, ...connection }) => connection) as [
      Omit<Connection, 'shards'>,
      Omit<Connection, 'shards'>,
    ];
    const old = await connect(source);
    await old.query(CREATE_BIG);
    for (const index of INDEX_BIG) await old.query(index);
    await fillBig(old, ROWS);
    const copies: Record<string, number[]> = { ours: [], 'bare pipe': [], 'native subscription': [] };
    const streams: Record<string, number[]> = { ours: [], 'native subscription': [] };
    let rss = 0;
    for (let round = 0; round < ROUNDS; round++) {
      copies['bare pipe']!.push(ROWS / (await barePipe(source, target)));
      const native = await nativeSubscription(source, target, old);
      copies['native subscription']!.push(native.copyRate);
      streams['native subscription']!.push(native.streamRate);
      const ours = await ourImport(source, target, old);
      copies.ours!.push(ours.copyRate);
      streams.ours!.push(ours.streamRate);
      rss = Math.max(rss, ours.rssMiB);
    }
    const fresh = await freshness(source, target, old);
    await old.end();
    return [
      figures('import-postgres copy', 'rows/s', copies, { rows: ROWS, indexes: 3, rssMiB: rss }),
      figures('import-postgres stream', 'changes/s', streams, { changes: CHANGES }),
      {
        bench: 'import-postgres age of a change',
        unit: 'ms',
        ours: fresh.p99,
        p50: fresh.p50,
        changesPerSecond: 1_000,
      },
    ];
  });

function figures(bench: string, unit: string, seen: Record<string, number[]>, more: object): Result {
  const [ours, ...rivals] = Object.entries(seen).map(([name, values]) => [name, rounded(median(values))] as const);
  return { bench, unit, ours: ours![1], rivals: Object.fromEntries(rivals), ...more };
}

async function connect(connection: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client(connection);
  client.on('error', () => {});
  await client.connect();
  return client;
}

async function lend<Value>(connection: pg.ClientConfig, work: (client: pg.Client) => Promise<Value>): Promise<Value> {
  const client = await connect(connection);
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Seconds of a SELECT piped into a COPY, with the same indexes made after. */
async function barePipe(source: pg.ClientConfig, target: pg.ClientConfig): Promise<number> {
  return lend(source, (from) =>
    lend(target, async (to) => {
      await to.query(`drop table if exists public.big; ${CREATE_BIG.replace(' primary key', '')}`);
      const startedAt = performance.now();
      await pipeline(from.query(copyTo('copy public.big to stdout')), to.query(copyFrom('copy public.big from stdin')));
      await to.query('alter table public.big add primary key (id)');
      for (const index of INDEX_BIG) await to.query(index);
      const seconds = (performance.now() - startedAt) / 1_000;
      await to.query('drop table public.big');
      return seconds;
    }),
  );
}

/** Postgres' own logical replication, between the same servers. */
async function nativeSubscription(
  source: pg.ClientConfig,
  target: pg.ClientConfig,
  old: pg.Client,
): Promise<{ copyRate: number; streamRate: number }> {
  const { host, port, user, password, database } = source;
  return lend(target, async (to) => {
    await old.query('create publication native for table public.big');
    await to.query(CREATE_BIG);
    for (const index of INDEX_BIG) await to.query(index);
    const copied = performance.now();
    await to.query(
      `create subscription native connection 'host=${host} port=${port} user=${user} password=${String(password)} dbname=${database}' publication native`,
    );
    const isReady = `select bool_and(srsubstate in ('r', 's')) as done from pg_subscription_rel`;
    while ((await to.query(isReady)).rows[0].done !== true) await pause(10);
    const copyRate = (await count(old)) / ((performance.now() - copied) / 1_000);
    await to.query('alter subscription native disable');
    await changeBig(old, { rows: ROWS, changes: CHANGES });
    const end = await flushed(old);
    const streamed = performance.now();
    await to.query('alter subscription native enable');
    const isThere = `select coalesce(max(replay_lsn), '0/0') >= '${end}'::pg_lsn as done from pg_stat_replication`;
    while ((await old.query(isThere)).rows[0].done !== true) await pause(5);
    const streamRate = CHANGES / ((performance.now() - streamed) / 1_000);
    await to.query('drop subscription native');
    await to.query('drop table public.big');
    await old.query('drop publication native');
    return { copyRate, streamRate };
  });
}

async function ourImport(
  source: pg.ClientConfig,
  target: pg.ClientConfig,
  old: pg.Client,
): Promise<{ copyRate: number; streamRate: number; rssMiB: number }> {
  return withEngine(source, target, async (engine) => {
    const rows = await count(old);
    const copied = performance.now();
    await engine.initReplica('big');
    const copyRate = rows / ((performance.now() - copied) / 1_000);
    await changeBig(old, { rows: ROWS, changes: CHANGES });
    const end = ordinal(await flushed(old));
    const stop = new AbortController();
    const streamed = performance.now();
    let seconds = 0;
    await engine.startReplica('big', {
      signal: stop.signal,
      onPosition: (position) => {
        if (position.ordinal < end || seconds > 0) return;
        seconds = (performance.now() - streamed) / 1_000;
        stop.abort();
      },
    });
    return { copyRate, streamRate: CHANGES / seconds, rssMiB: Math.round(process.memoryUsage().rss / 2 ** 20) };
  });
}

/** How long after its commit a change is applied, at 1,000 changes a second. */
async function freshness(
  source: pg.ClientConfig,
  target: pg.ClientConfig,
  old: pg.Client,
): Promise<{ p50: number; p99: number }> {
  return withEngine(source, target, async (engine) => {
    await engine.initReplica('big');
    const stop = new AbortController();
    const ages: number[] = [];
    const replica = engine.startReplica('big', {
      signal: stop.signal,
      onApplied: (batch) => {
        if (batch.changes > 0) ages.push(Date.now() - batch.sourceTimeMs);
      },
    });
    const until = performance.now() + FRESH_MS;
    for (let n = 0; performance.now() < until; n++) {
      const began = performance.now();
      await old.query(
        `update public.big set quantity = ${n} where id between ${(n * 10) % ROWS} and ${((n * 10) % ROWS) + 9}`,
      );
      await pause(Math.max(0, 10 - (performance.now() - began)));
    }
    stop.abort();
    await replica;
    ages.sort((a, b) => a - b);
    return { p50: ages[ages.length >> 1] ?? 0, p99: ages[Math.floor(ages.length * 0.99)] ?? 0 };
  });
}

async function withEngine<Value>(
  source: pg.ClientConfig,
  target: pg.ClientConfig,
  work: (engine: ReplicaEngine) => Promise<Value>,
): Promise<Value> {
  await using engine = new ReplicaEngine({
    config: {
      servers: { target },
      import: {
        sources: {
          big: { type: 'pgsql', db_conn: source, schema_mappings: { public: 'public' }, limit_tables: ['public.big'] },
        },
      },
    },
  });
  await engine.createReplicaSchema();
  await engine.addSource('big');
  const value = await work(engine);
  await engine.dropSource('big');
  await lend(target, (to) => to.query('drop table public.big'));
  return value;
}

async function count(client: pg.Client): Promise<number> {
  return Number((await client.query('select count(*) as n from public.big')).rows[0].n);
}

async function flushed(client: pg.Client): Promise<string> {
  return (await client.query('select pg_current_wal_flush_lsn()::text as lsn')).rows[0].lsn as string;
}

function ordinal(lsn: string): bigint {
  const [high, low] = lsn.split('/') as [string, string];
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
