// How fast are ids made, and are they ever the same, beside the well-known function (nextval % 1024 and a clock)?
import pg from 'pg';
import { makeWellKnown, OURS, WELL_KNOWN } from './support/id-functions.ts';
import { type Result, rounded } from './support/result.ts';
import { type BenchServers, withServers } from './support/servers.ts';
import { sqlTurns } from './support/sql-turns.ts';

const COUNT = 300_000;
const WRITERS = 32;
const IDS = Number(process.env.BENCH_IDS ?? 10_000_000);
const RIVAL_IDS = Math.min(IDS, 1_000_000);
const BATCH = 5_000;

export const run = (): Promise<Result[]> =>
  withServers(
    async (servers) => {
      await makeWellKnown(servers);
      return [...(await speed(servers)), await uniqueness(servers)];
    },
    { ranges: ['1-2'] },
  );

async function speed(servers: BenchServers): Promise<Result[]> {
  const client = new pg.Client(servers.connections[0]);
  await client.connect();
  try {
    const took = await sqlTurns(client, {
      ours: { text: `select count(${OURS}) from generate_series(1, ${COUNT})` },
      wellKnown: { text: `select count(${WELL_KNOWN}) from generate_series(1, ${COUNT})` },
      many: { text: `select count(*) from shard0001.next_ids(${COUNT})` },
    });
    const perSecond = (ms: number): number => rounded((COUNT * 1_000) / ms);
    const rivals = { 'well-known function': perSecond(took.wellKnown) };
    const unit = 'ids/s';
    return [
      { bench: 'next-id', case: 'next_id()', goal: 'at least 3 ×', unit, ours: perSecond(took.ours), rivals },
      { bench: 'next-id', case: 'next_ids(n)', unit, ours: perSecond(took.many), rivals },
    ];
  } finally {
    await client.end();
  }
}

/** Bulk writers at once, half by row and half in chunks, into a table without a key; the server counts. */
async function uniqueness(servers: BenchServers): Promise<Result> {
  const chunks = `select * from shard0001.next_ids(${BATCH})`;
  const rows = (next: string): string => `select ${next} from generate_series(1, ${BATCH})`;
  const ours = await draw(servers, IDS, (writer) => (writer % 2 === 0 ? rows(OURS) : chunks));
  const known = await draw(servers, RIVAL_IDS, () => rows(WELL_KNOWN));
  return {
    bench: 'next-id',
    case: `ids into a table from ${WRITERS} writers`,
    unit: 'ids/s',
    ours: ours.perSecond,
    rivals: { 'well-known function': known.perSecond },
    ids: { ours: ours.ids, 'well-known function': known.ids },
    duplicates: { ours: ours.duplicates, 'well-known function': known.duplicates },
  };
}

async function draw(
  servers: BenchServers,
  count: number,
  source: (writer: number) => string,
): Promise<{ ids: number; duplicates: number; perSecond: number }> {
  await servers.query(0, 'create unlogged table public.drawn (id bigint)');
  const writers = Array.from({ length: WRITERS }, () => new pg.Client(servers.connections[0]));
  let left = Math.ceil(count / BATCH);
  const start = performance.now();
  await Promise.all(
    writers.map(async (client, writer) => {
      await client.connect();
      const text = `insert into public.drawn ${source(writer)}`;
      while (left-- > 0) await client.query(text);
      await client.end();
    }),
  );
  const seconds = (performance.now() - start) / 1_000;
  const { rows } = await servers.query(
    0,
    'select count(*)::integer as ids, (count(*) - count(distinct id))::integer as duplicates from public.drawn',
  );
  await servers.query(0, 'drop table public.drawn');
  const { ids, duplicates } = rows[0] as { ids: number; duplicates: number };
  return { ids, duplicates, perSecond: rounded(ids / seconds) };
}
