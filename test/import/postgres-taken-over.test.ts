// What a process meets that takes over at once from one that was killed, or that has lost its lock without knowing.
import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { ReplicaEngine } from '../../src/import/index.ts';
import { ADVISORY_LOCK_CLASS } from '../../src/internal/advisory-locks.ts';
import { rejection, waitFor } from '../support/wait-for.ts';
import { logicalServerOfFile, type PostgresFixture, postgresFixture } from './postgres-fixture.ts';
import { startReplicaProcess } from './replica-process.ts';

const server = logicalServerOfFile();

const TABLES = `create table t (id bigint primary key, n int); insert into t select n, n from generate_series(1, 10) n;
  create table child (id bigint primary key, t_id bigint references t); insert into child values (1, 1)`;

/** A session of somebody else's, ended with the test. */
async function session({ connection }: { readonly connection: pg.ClientConfig }): Promise<pg.Client> {
  const client = new pg.Client(connection);
  client.on('error', () => {});
  await client.connect();
  onTestFinished(() => client.end().catch(() => {}));
  return client;
}

const onSource = (f: PostgresFixture): Promise<pg.Client> => session({ connection: f.sourceConnection });

/** Waits for a row of the query. */
async function seen(client: pg.Client, query: string, what: string): Promise<void> {
  await waitFor(async () => (await client.query(query)).rowCount !== 0, { timeoutMs: 30_000, everyMs: 20, what });
}

const MAKING_A_SLOT = `select from pg_stat_activity where datname = current_database() and state = 'active'
  and query like '%pg_create_logical_replication_slot%' and pid <> pg_backend_pid()`;
const IMPORT_LOCK = `from pg_locks where locktype = 'advisory' and classid = ${ADVISORY_LOCK_CLASS.import} and granted
  and database = (select oid from pg_database where datname = current_database())`;

it('looks again how the source is when it has waited for the lock: a copy never replaces what was switched to', {
  timeout: 60_000,
}, async () => {
  const f = await postgresFixture(server(), { extra: TABLES });
  await f.init();
  const holder = await session(f.targets[0]!);
  const { rows } = await holder.query(`select source_id::int * 2 as key from hypervault.import_source`);
  for (const [work, end] of [
    [() => f.engine.initReplica('shop'), 'reverse'],
    [() => f.engine.syncTables('shop', ['public.t']), 'reverse'],
    [() => f.engine.detachReplica('shop'), 'switching'],
  ] as const) {
    await holder.query(`update hypervault.import_source set direction = 'forward', status = 'stopped'`);
    await holder.query('select pg_advisory_lock($1, $2)', [ADVISORY_LOCK_CLASS.import, rows[0].key]);
    const waiting = rejection(work());
    // It has read the source, and tries for the lock
    await seen(
      holder,
      `select from pg_stat_activity where datname = current_database() and query like '%pg_try_advisory_lock%' and pid <> pg_backend_pid()`,
      'the command waiting',
    );
    await holder.query(`update hypervault.import_source set direction = '${end}'`);
    await f.rows(`insert into t values (${end === 'reverse' ? 100 : 101}, 0) on conflict do nothing`);
    await holder.query('select pg_advisory_unlock($1, $2)', [ADVISORY_LOCK_CLASS.import, rows[0].key]);
    expect((await waiting).message).toMatch(/the source shop is (switched|switching): run hypervault import/);
    expect(await f.rows('select from t where id = 100')).toHaveLength(1);
  }
});

it('a switch that has lost its lock cannot undo the return of whoever has it now', { timeout: 60_000 }, async () => {
  const f = await postgresFixture(server(), { extra: TABLES });
  await f.init();
  const holder = await session(f.targets[0]!);
  // The slot of the way back waits for this transaction
  await holder.query('begin; select pg_current_xact_id()');
  const lost = rejection(f.engine.switchOver('shop'));
  const look = await session(f.targets[0]!);
  await seen(look, MAKING_A_SLOT, 'the switch making its slot');
  await look.query(`select pg_terminate_backend(pid) ${IMPORT_LOCK}`);
  const returned = f.another().back('shop');
  await waitFor(
    async () => (await f.rows(`select direction from hypervault.import_source`))[0]!.direction === 'forward',
    {
      timeoutMs: 30_000,
      what: 'the return',
    },
  );
  await holder.query('commit');
  expect((await lost).code).toBe('LOCK_LOST');
  await returned;
  expect(await f.rows('select direction from hypervault.import_source')).toEqual([{ direction: 'forward' }]);
  expect(await f.rows('select slot_name from pg_replication_slots where database = current_database()')).toEqual([]);
  await f.source('insert into t values (11, 11)');
  await f.start();
  await f.caughtUp();
  expect(await f.rows('select n from t where id = 11')).toEqual([{ n: 11 }]);
});

it('does not take a slot for there that the session of a killed process is still making', {
  timeout: 60_000,
}, async () => {
  const f = await postgresFixture(server(), { extra: TABLES });
  await f.engine.createReplicaSchema();
  await f.engine.addSource('shop');
  const holder = await onSource(f);
  await holder.query('begin; select pg_current_xact_id()');
  const first = startReplicaProcess(f.config, 'init-anew');
  const look = await onSource(f);
  await seen(look, MAKING_A_SLOT, 'the slot being made');
  await first.kill();
  const copied = f.engine.initReplica('shop');
  copied.catch(() => {});
  await seen(
    look,
    `select from pg_locks where locktype = 'advisory' and classid = ${ADVISORY_LOCK_CLASS.slot} and not granted`,
    'the second process waiting for the session of the first',
  );
  // The server has noticed, and takes back what was not finished
  await look.query(MAKING_A_SLOT.replace('select from', 'select pg_terminate_backend(pid) from'));
  await holder.query('commit');
  expect((await copied).rows).toBe(11);
  await f.start();
  await f.source('insert into t values (11, 11)');
  await f.caughtUp();
  expect(await f.rows('select n from t where id = 11')).toEqual([{ n: 11 }]);
});

it('waits on the way back as long as the session of a killed process holds its mark', { timeout: 60_000 }, async () => {
  const f = await postgresFixture(server(), { extra: TABLES });
  await f.init();
  await f.engine.switchOver('shop');
  const holder = await onSource(f);
  await holder.query('begin; select from t where id = 1 for update');
  await f.rows('update t set n = n + 1 where id = 1');
  const first = startReplicaProcess(f.config, 'start');
  const look = await onSource(f);
  await seen(look, `select from pg_locks where not granted and locktype = 'transactionid'`, 'the first at the row');
  await first.kill();
  const told: string[] = [];
  const log = (message: string): void => void told.push(message);
  const second = new ReplicaEngine({ config: f.config, logger: { debug: log, info: log, warn: log, error: log } });
  onTestFinished(() => second.close());
  const stop = new AbortController();
  let failure: unknown;
  const running = second.startReplica('shop', { signal: stop.signal }).catch((error: unknown) => {
    failure = error;
  });
  await waitFor(() => told.some((line) => /waiting until that session ends/.test(line)) || failure !== undefined, {
    timeoutMs: 20_000,
    what: 'the second being told of',
  });
  expect(failure).toBeUndefined();
  await holder.query('commit');
  await seen(look, 'select from t where id = 1 and n = 2', 'the change');
  stop.abort();
  await running;
  expect(failure).toBeUndefined();
  await f.engine.finish('shop');
});

it('takes a slot away from a walsender whose process hears of nothing any more', { timeout: 60_000 }, async () => {
  const f = await postgresFixture(server(), { extra: TABLES });
  await f.init();
  const stopped = startReplicaProcess(f.config, 'start');
  const look = await onSource(f);
  await seen(look, `select from pg_replication_slots where active and database = current_database()`, 'the stream');
  stopped.signal('SIGSTOP');
  await f.rows(`select pg_terminate_backend(pid) ${IMPORT_LOCK}`);
  await waitFor(async () => (await f.rows(`select ${IMPORT_LOCK}`)).length === 0, { what: 'the lock being free' });
  await f.engine.dropSource('shop');
  const left = await look.query('select from pg_replication_slots where database = current_database()');
  expect(left.rowCount).toBe(0);
  expect((await look.query('select from pg_publication')).rowCount).toBe(0);
});

it('ends a finish that was cut off, and takes away what a switch has left', { timeout: 60_000 }, async () => {
  const f = await postgresFixture(server(), { extra: TABLES });
  await f.init();
  await f.engine.switchOver('shop');
  const { replication_slot: slot } = (f.config.sources as { shop: { replication_slot: string } }).shop;
  // A switch that was killed behind its last step has left its slot, and a finish has only taken away the way back
  await f.source(`select pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
  await f.rows(`select pg_drop_replication_slot('${slot}_back')`);
  await f.source('delete from hypervault.import_position');
  await f.rows(`update hypervault.import_source set direction = 'finishing'`);
  for (const command of ['back', 'startReplica', 'switchOver'] as const)
    expect((await rejection(f.engine[command]('shop') as Promise<unknown>)).message).toMatch(
      /is finishing: run hypervault import finish again, it was cut off/,
    );
  await f.engine.finish('shop');
  expect(await f.rows('select from hypervault.import_source')).toEqual([]);
  expect(await f.source('select slot_name from pg_replication_slots where database = current_database()')).toEqual([]);
});

it('notices a column that was added and filled between the survey and the snapshot', { timeout: 60_000 }, async () => {
  const f = await postgresFixture(server(), { extra: TABLES });
  await f.engine.createReplicaSchema();
  await f.engine.addSource('shop');
  const holder = await onSource(f);
  await holder.query('begin; select pg_current_xact_id()');
  const copied = f.engine.initReplica('shop');
  const look = await onSource(f);
  await seen(look, MAKING_A_SLOT, 'the copy waiting for a transaction');
  await look.query('alter table t add column late int; update t set late = id');
  await holder.query('commit');
  const { tables } = await copied;
  expect(tables.filter(({ failure }) => failure !== null)).toEqual([
    { table: 'public.t', rows: 0, failure: expect.stringMatching(/its column late was added; copy it anew/) },
  ]);
  await f.engine.syncTables('shop', 'disabled');
  expect(await f.engine.verify('shop')).toMatchObject({ equal: true });
  expect(await f.rows('select late from t where id = 7')).toEqual([{ late: 7 }]);
});
