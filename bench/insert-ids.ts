// What does a bulk insert cost with our ids, beside one with an identity column?
import pg from 'pg';
import { Datastore } from 'pg-hypervault';
import { makeWellKnown, OURS, WELL_KNOWN } from './support/id-functions.ts';
import { median, type Result, rounded } from './support/result.ts';
import { type BenchServers, withServers } from './support/servers.ts';
import { sqlTurns } from './support/sql-turns.ts';

const COUNT = 200_000;
const SDK_COUNT = 10_000;
const ROUNDS = 7;
const COLUMNS = 'name text, email text, city text, score integer';
const VALUES = `'Person number ' || n, 'person' || n || '@example.com', 'Reykjavík', n % 1000`;

export const run = (): Promise<Result[]> =>
  withServers(
    async (servers) => {
      await makeWellKnown(servers);
      return [...(await statements(servers)), await sdk(servers)];
    },
    { ranges: ['1-2'] },
  );

/** One statement that inserts everything: the cost of the ids alone. */
async function statements(servers: BenchServers): Promise<Result[]> {
  const client = new pg.Client(servers.connections[0]);
  await client.connect();
  try {
    const insert = async (name: string, id: string, select: string) => {
      await client.query(`create table public.${name} (id bigint ${id} primary key, ${COLUMNS})`);
      return { text: `insert into public.${name} ${select}`, after: `truncate public.${name}; checkpoint` };
    };
    const rows = `(name, email, city, score) select ${VALUES} from generate_series(1, ${COUNT}) as n`;
    const took = await sqlTurns(
      client,
      {
        identity: await insert('identities', 'generated always as identity', rows),
        ours: await insert('ours', `default ${OURS}`, rows),
        reserved: await insert(
          'reserved',
          `default ${OURS}`,
          `select id, ${VALUES} from shard0001.next_ids(${COUNT}) with ordinality as ids (id, n)`,
        ),
        wellKnown: await insert('known', '', `select id, ${VALUES} from (${UNIQUE_KNOWN}) as ids`),
      },
      ROUNDS,
    );
    const perSecond = (ms: number): number => rounded((COUNT * 1_000) / ms);
    const rivals = { identity: perSecond(took.identity), 'well-known function': perSecond(took.wellKnown) };
    const shared = { bench: 'insert-ids', rows: COUNT, unit: 'rows/s', rivals };
    return [
      { ...shared, case: 'default next_id()', goal: 'at least 0.56 × identity', ours: perSecond(took.ours) },
      { ...shared, case: 'from next_ids(n)', goal: 'at least 0.77 × identity', ours: perSecond(took.reserved) },
    ];
  } finally {
    await client.end();
  }
}

/** The well-known function repeats itself in a bulk statement, which a primary key would refuse: one of each is kept. */
const UNIQUE_KNOWN = `select ${WELL_KNOWN} + n::bigint * 8388608 as id, n from generate_series(1, ${COUNT}) as n`;

/** The same through insertMany: ids reserved ahead, beside rows that the server numbers. */
async function sdk(servers: BenchServers): Promise<Result> {
  interface Person extends Record<string, unknown> {
    id: bigint;
    owner: string;
    name: string;
    score: number;
  }
  for (const [table, id] of [
    ['by_identity', 'generated always as identity'],
    ['by_next_id', 'default shard0001.next_id()'],
  ]) {
    await servers.query(
      0,
      `create table shard0001.${table} (id bigint ${id} primary key, owner text, name text, score integer)`,
    );
  }
  const db = new Datastore<{ by_identity: Person; by_next_id: Person }>(servers.connections, {
    slots: 1,
    firstShard: 1,
  });
  const rows = Array.from({ length: SDK_COUNT }, (_, n) => ({ owner: 'acme', name: `Person number ${n}`, score: n }));
  const identity = db.table('by_identity', { by: 'owner' });
  const reserved = db.table('by_next_id');
  const took = { identity: [] as number[], reserved: [] as number[] };
  const timed = async (list: number[], job: () => Promise<unknown[]>, round: number): Promise<void> => {
    const start = performance.now();
    const made = await job();
    if (made.length !== SDK_COUNT) throw new Error(`${made.length} rows`);
    if (round >= 0) list.push(performance.now() - start);
  };
  try {
    for (let round = -1; round < ROUNDS; round++) {
      await timed(took.identity, () => identity.insertMany(rows), round);
      await timed(
        took.reserved,
        async () => {
          const keys = await db.reserveKeys(1, SDK_COUNT);
          return reserved.insertMany(rows.map((row, n) => ({ ...row, id: keys[n]!.id })));
        },
        round,
      );
    }
  } finally {
    await db.disconnect();
  }
  const perSecond = (list: number[]): number => rounded((SDK_COUNT * 1_000) / median(list));
  return {
    bench: 'insert-ids',
    case: 'insertMany on reserved keys',
    rows: SDK_COUNT,
    goal: 'at least 0.77 × identity',
    unit: 'rows/s',
    ours: perSecond(took.reserved),
    rivals: { 'insertMany, identity': perSecond(took.identity) },
  };
}
