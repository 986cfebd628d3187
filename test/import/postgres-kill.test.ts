import { expect, it } from 'vitest';
import { ownServers } from '../support/own-server.ts';
import { waitFor } from '../support/wait-for.ts';
import { expectSame, logicalServerOfFile, type PostgresFixture, postgresFixture } from './postgres-fixture.ts';
import { CREATE_LOADED, startPostgresLoad } from './postgres-load.ts';
import { startReplicaProcess } from './replica-process.ts';

const server = logicalServerOfFile();
/** HYPERVAULT_KILLS=100 for a long night. */
const KILLS = Number(process.env.HYPERVAULT_KILLS ?? 2);

async function expectWholeTransactions(f: PostgresFixture): Promise<void> {
  expect(await f.rows('select sum(n)::text as sum from public.counters')).toEqual([{ sum: '1000000' }]);
}

async function expectEverything(f: PostgresFixture): Promise<void> {
  await f.caughtUp();
  expect(await f.rows('select table_name, message from hypervault.import_error')).toEqual([]);
  await expectSame(f, 'items');
  await expectSame(f, 'counters');
}

it(`loses and repeats nothing when it is killed ${KILLS} times under load`, {
  timeout: 60_000 + KILLS * 5_000,
}, async () => {
  const f = await postgresFixture(server(), { extra: CREATE_LOADED });
  await f.init();
  const load = startPostgresLoad(f.sourceConnection, { seed: 42, pauseMs: 1 });
  for (let kill = 0; kill < KILLS; kill++) {
    const replica = startReplicaProcess(f.config, 'start');
    await waitFor(() => replica.lines.length > 1, { timeoutMs: 20_000, what: 'the replica applying' });
    await new Promise((resolve) => setTimeout(resolve, (kill * 37) % 300));
    await replica.kill();
    await expectWholeTransactions(f);
  }
  await load.stop();
  await f.start();
  await expectEverything(f);
});

it('goes on with a copy that was killed, and is right also under load', { timeout: 120_000 }, async () => {
  const f = await postgresFixture(server(), {
    extra: CREATE_LOADED,
    source: { copy_max_memory: '100k', copy_workers: 1 },
  });
  await f.source(
    `insert into items select n, 'c' || n, n / 100.0, repeat('text ', 20), 'big' from generate_series(1, 150000) n`,
  );
  await f.source('analyze items');
  await f.engine.createReplicaSchema();
  await f.engine.addSource('shop');
  const load = startPostgresLoad(f.sourceConnection, { seed: 7, pauseMs: 5 });
  const chunks = async (): Promise<number> =>
    (await f.rows<{ n: number }>('select count(*)::int as n from hypervault.import_chunk'))[0]!.n;
  for (const wanted of [3, 12]) {
    const copying = startReplicaProcess(f.config, 'init');
    await waitFor(async () => (await chunks()) >= wanted, { timeoutMs: 30_000, everyMs: 2, what: `${wanted} chunks` });
    await copying.kill();
  }
  const copying = startReplicaProcess(f.config, 'init');
  await copying.finished();
  expect(await f.rows('select consistent from hypervault.import_source')).toEqual([{ consistent: false }]);
  await f.start();
  await load.stop();
  await expectEverything(f);
  const [after] = await f.rows(
    `select s.consistent, (select count(*)::int from pg_indexes where tablename = 'items' and schemaname = 'public') as indexes from hypervault.import_source s`,
  );
  expect(after).toEqual({ consistent: true, indexes: 2 });
});

it('goes on when the source is killed and started again', { timeout: 90_000 }, async () => {
  const own = await ownServers({ settings: { wal_level: 'logical' } });
  const f = await postgresFixture(own, { extra: CREATE_LOADED });
  await f.init();
  await f.start();
  const load = startPostgresLoad(f.sourceConnection, { seed: 3, pauseMs: 1 });
  for (let kill = 0; kill < 1; kill++) {
    const before = load.transactions;
    await waitFor(() => load.transactions > before + 50, { timeoutMs: 20_000, what: 'some load' });
    await own.servers[0]!.kill();
    await own.servers[0]!.start();
  }
  const before = load.transactions;
  await waitFor(() => load.transactions > before + 50, { timeoutMs: 20_000, what: 'some load' });
  await load.stop();
  await expectEverything(f);
});

it('keeps the shards of two servers right when it is killed between their commits, also in a large transaction', {
  timeout: 90_000,
}, async () => {
  const f = await postgresFixture(server(), {
    shards: true,
    extra: `create table account (tenant_id int, id int, n bigint, big text, primary key (tenant_id, id));
      alter table account alter big set storage external; alter table account replica identity full;
      insert into account select n % 50, n, 0, repeat('big ' || n, 700) from generate_series(1, 2000) n`,
    source: { shard_by: 'tenant_id', replay_max_rows: 200 },
  });
  await f.init();
  let stopping = false;
  let seed = 9;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((seed / 2_147_483_648) * below);
  };
  const load = (async () => {
    for (let n = 0; !stopping; n++) {
      // Rows move between tenants, all of them change at times, large values stay
      const moved = `update account set tenant_id = ${random(50)} where id = ${random(2000) + 1}`;
      const gone = `delete from account where id = ${random(2000) + 1}`;
      const fresh = `insert into account values (${random(50)}, ${10_000 + n}, 1, 'new')`;
      const all = n % 40 === 0 ? '; update account set n = n + 1' : '';
      await f.source(
        `begin; ${moved}; ${gone}; ${fresh}; update account set n = n + 1 where tenant_id = 7${all}; commit`,
      );
    }
  })();
  for (let kill = 0; kill < KILLS; kill++) {
    const replica = startReplicaProcess(f.config, 'start');
    await waitFor(() => replica.lines.length > 2, { timeoutMs: 20_000, what: 'the replica applying' });
    await new Promise((resolve) => setTimeout(resolve, (kill * 61) % 200));
    await replica.kill();
  }
  stopping = true;
  await load;
  const { tables } = await f.engine.verify('shop');
  expect(tables).toMatchObject([{ state: 'equal', reason: null, differences: [], misplaced: [] }]);
  expect(await f.rows('select message from hypervault.import_error')).toEqual([]);
});
