// SIGKILL in every phase of a Postgres source into shards, over and over, while it is written to: rows move between
// shards, large values stay, transactions outgrow a batch. `npm run soak:import` does it a hundred times.
import pg from 'pg';
import { expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { logicalServerOfFile, type PostgresFixture, postgresFixture } from './postgres-fixture.ts';
import { CREATE_LOADED, startPostgresLoad } from './postgres-load.ts';
import { type ReplicaProcess, startReplicaProcess } from './replica-process.ts';

const server = logicalServerOfFile();
const KILLS = Number(process.env.HYPERVAULT_KILLS ?? 3);
const ROWS = 5_000;
/** A load that only grows would make each copy longer than the one before. */
const MAX_ROWS = 8_000;

async function isAt(f: PostgresFixture, replica: ReplicaProcess, pattern: string, waiting = false): Promise<boolean> {
  replica.expectAlive();
  for (const n of [0, 1]) {
    const { rows } = await f.targets[n]!.query(
      `select from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and state = 'active'
          and application_name like 'pg-hypervault%' and query ~* $1 and ($2 or wait_event_type is distinct from 'Lock')
          and (not $2 or wait_event_type = 'Lock')`,
      [pattern, waiting],
    );
    if (rows.length > 0) return true;
  }
  return false;
}

async function applied(f: PostgresFixture, kill: number): Promise<void> {
  await ensureCopied(f);
  const replica = startReplicaProcess(f.config, 'start');
  await waitFor(() => replica.lines.length > 1, { timeoutMs: 90_000, everyMs: 2, what: 'the replica applying' });
  await new Promise((resolve) => setTimeout(resolve, (kill * 53) % 250));
  await replica.kill();
}

const PHASES: readonly ((f: PostgresFixture, kill: number) => Promise<void>)[] = [
  applied,
  async function copy(f, kill) {
    const replica = startReplicaProcess(f.config, 'init-anew');
    const done = async (): Promise<number> =>
      (await f.rows<{ n: number }>('select count(*)::int as n from hypervault.import_chunk'))[0]!.n;
    const some = async (): Promise<boolean> => {
      replica.expectAlive();
      return (await done()) > 1 + (kill % 5);
    };
    await waitFor(some, { timeoutMs: 90_000, everyMs: 2, what: 'some chunks' });
    await replica.kill();
  },
  async function swap(f) {
    await ensureCopied(f);
    const client = new pg.Client(f.targets[1]!.connection);
    await client.connect();
    try {
      await client.query('begin; lock table shard0007.items in access share mode');
      const replica = startReplicaProcess(f.config, 'init-anew');
      await waitFor(() => isAt(f, replica, 'drop table', true), { timeoutMs: 90_000, everyMs: 5, what: 'the swap' });
      await replica.kill();
    } finally {
      await client.end();
    }
  },
  async function index(f) {
    const replica = startReplicaProcess(f.config, 'init');
    // Over in a moment: seen or not, it is killed while the copy comes to its end
    await waitFor(
      async () =>
        (await isAt(f, replica, 'primary key|create (unique )?index|add constraint|analyze')) ||
        replica.lines.some((line) => line.includes('durationMs')),
      { timeoutMs: 90_000, everyMs: 1, what: 'the indexes being built' },
    );
    await replica.kill();
  },
  // Two servers commit one after the other, and a transaction comes in parts
  applied,
];

async function ensureCopied(f: PostgresFixture): Promise<void> {
  const [row] = await f.rows<{ status: string }>('select status from hypervault.import_source');
  if (row!.status !== 'initialising') return;
  await startReplicaProcess(f.config, 'init').finished();
}

it(`is equal to its source after ${KILLS} kills, in every phase, under load`, {
  timeout: 120_000 + KILLS * 15_000,
}, async () => {
  const f = await postgresFixture(server(), {
    shards: true,
    extra: `${CREATE_LOADED}
      insert into items select n, 'c' || n, n / 100.0, repeat('text ', 20), repeat('big', 900), 's' || n % 40 from generate_series(1, ${ROWS}) n;
      analyze items`,
    source: {
      shard_by: { items: 'state', counters: 'id' },
      set_replica_identity: true,
      copy_max_memory: '100k',
      replay_max_rows: 200,
    },
  });
  await f.init();
  const load = startPostgresLoad(f.sourceConnection, { seed: 9, pauseMs: 8 });
  let stopping = false;
  const largeOnes = (async () => {
    for (let n = 0; !stopping; n++) {
      await f.source(`delete from items where id < (select max(id) from items) - ${MAX_ROWS}`);
      await f.source(`update items set state = 's' || (id + ${n}) % 40 where id % 17 = ${n % 17}`);
      await new Promise((resolve) => setTimeout(resolve, 1_500));
    }
  })();
  for (let kill = 0; kill < KILLS; kill++) {
    const phase = PHASES[kill % PHASES.length]!;
    await phase(f, kill).catch((error: unknown) => {
      throw new Error(`kill ${kill}, ${phase.name}`, { cause: error });
    });
  }
  stopping = true;
  await Promise.all([load.stop(), largeOnes]);
  await ensureCopied(f);
  await f.start();
  await f.caughtUp();
  expect(await f.rows('select table_name, message from hypervault.import_error')).toEqual([]);
  const { tables } = await f.engine.verify('shop');
  expect(tables).toHaveLength(2);
  for (const table of tables) expect(table).toMatchObject({ state: 'equal', differences: [], misplaced: [] });
  // The checksums' word is not taken for it
  const theirs = await f.source('select md5(t::text) as h from items t union all select md5(t::text) from counters t');
  const ours = await Promise.all(
    [1, 2, 3, 4, 5, 6, 7, 8].map((shard) =>
      f.rows(
        `select md5(t::text) as h from shard000${shard}.items t union all select md5(t::text) from shard000${shard}.counters t`,
        shard <= 4 ? 0 : 1,
      ),
    ),
  );
  const sorted = (rows: unknown[]): string[] => rows.map((row) => (row as { h: string }).h).sort();
  expect(sorted(ours.flat())).toEqual(sorted(theirs));
});
