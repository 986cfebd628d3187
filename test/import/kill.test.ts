import { expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { expectSameRows } from './compare.ts';
import { importFixture, mariadbOfFile } from './fixture.ts';
import { CREATE_COUNTERS, CREATE_ITEMS, ITEM_COLUMNS, startLoad } from './load.ts';
import { startReplicaProcess } from './replica-process.ts';

const mariadb = mariadbOfFile();
/** HYPERVAULT_KILLS=100 for a long night. */
const KILLS = Number(process.env.HYPERVAULT_KILLS ?? 3);

it(`loses and repeats nothing when it is killed ${KILLS} times under load`, {
  timeout: 60_000 + KILLS * 5_000,
}, async () => {
  const f = await importFixture(mariadb());
  await f.source(`${CREATE_ITEMS}; ${CREATE_COUNTERS}; insert into counters values (1, 1000000), (2, 0)`);
  await f.init();
  const load = startLoad(f, { seed: 42, pauseMs: 1 });
  for (let kill = 0; kill < KILLS; kill++) {
    const replica = startReplicaProcess(f.config, 'start');
    await waitFor(() => replica.lines.length > 1, { timeoutMs: 20_000, what: 'the replica applying' });
    await new Promise((resolve) => setTimeout(resolve, (kill * 37) % 300));
    await replica.kill();
    // A source transaction shows as a whole or not at all
    const [{ sum }] = (await f.rows<{ sum: string }>(`select sum(n)::text as sum from ${f.schema}.counters`)) as [
      { sum: string },
    ];
    expect(sum).toBe('1000000');
  }
  await load.stop();
  await f.start();
  await f.caughtUp();
  await expectSameRows(f, 'items', ITEM_COLUMNS);
  await expectSameRows(f, 'counters', ['id', 'n']);
  expect(await f.rows('select * from hypervault.import_error')).toEqual([]);
});

it('ends with an error when its lock is lost, and can be started again', async () => {
  const f = await importFixture(mariadb());
  await f.source('create table t (id int primary key)');
  await f.init();
  const replica = startReplicaProcess(f.config, 'start');
  await waitFor(() => replica.lines.length > 0, { timeoutMs: 20_000, what: 'the replica running' });
  const ended = expect(replica.finished()).rejects.toThrow(/LOCK_LOST/);
  await f.rows(`select pg_terminate_backend(pid) from pg_locks l
    where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`);
  await ended;
  const [shop] = await f.engine.showStatus();
  expect(shop).toMatchObject({ status: 'error', reason: expect.stringMatching(/lock of the source shop was lost/) });
  await f.engine.enableReplica('shop');
  await f.start();
  await f.source('insert into t values (1)');
  await f.caughtUp();
});

it('goes on with a copy that was killed, and is right also under load', { timeout: 120_000 }, async () => {
  const f = await importFixture(mariadb(), { source: { copy_max_memory: '200k' } });
  await f.source(`${CREATE_ITEMS}; ${CREATE_COUNTERS}; insert into counters values (1, 1000000), (2, 0)`);
  await f.source(
    `insert into items (code, price, note) select concat('c', seq), seq / 100, repeat('text ', 20) from seq_1_to_60000`,
  );
  await f.source('analyze table items');
  await f.engine.createReplicaSchema();
  await f.engine.addSource('shop');
  const load = startLoad(f, { seed: 7, pauseMs: 5 });
  const chunks = async (): Promise<number> => {
    const [row] = await f.rows<{ n: number }>('select count(*)::int as n from hypervault.import_chunk');
    return row!.n;
  };
  let seen = 0;
  for (const wanted of [3, 12]) {
    const copying = startReplicaProcess(f.config, 'init');
    await waitFor(async () => (await chunks()) >= wanted, { timeoutMs: 30_000, everyMs: 2, what: `${wanted} chunks` });
    await copying.kill();
    // What was done before is done still
    expect(await chunks()).toBeGreaterThanOrEqual(seen);
    seen = await chunks();
  }
  const [{ status }] = (await f.rows<{ status: string }>('select status from hypervault.import_source')) as [
    { status: string },
  ];
  expect(status).toBe('initialising');
  const copying = startReplicaProcess(f.config, 'init');
  await copying.finished();
  const [{ consistent }] = (await f.rows<{ consistent: boolean }>(
    'select consistent from hypervault.import_source',
  )) as [{ consistent: boolean }];
  expect(consistent).toBe(false);
  await f.start();
  await new Promise((resolve) => setTimeout(resolve, 500));
  await load.stop();
  await f.caughtUp();
  await expectSameRows(f, 'items', ITEM_COLUMNS);
  await expectSameRows(f, 'counters', ['id', 'n']);
  expect(await f.rows('select message from hypervault.import_error')).toEqual([]);
  const [after] = await f.rows<{ consistent: boolean; indexes: number }>(
    `select s.consistent, (select count(*)::int from pg_indexes where schemaname = '${f.schema}' and tablename = 'items') as indexes
       from hypervault.import_source s`,
  );
  expect(after).toEqual({ consistent: true, indexes: 2 });
});
