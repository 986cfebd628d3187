// What the server still does for a process that was killed: a session ends the statement in hand before it notices.
import pg from 'pg';
import { expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { expectSameDatabase } from './compare-tables.ts';
import { type ImportFixture, importFixture, mariadbOfFile } from './fixture.ts';
import { startReplicaProcess } from './replica-process.ts';

const mariadb = mariadbOfFile();

/** The servers of the tests look after their clients all the time; others do not. */
async function fixtureWithPatientServer(): Promise<ImportFixture> {
  const f = await importFixture(mariadb());
  await f.rows(`alter database "${f.target.connection.database}" set client_connection_check_interval = 0`);
  return f;
}

async function expectNothingAside(f: ImportFixture): Promise<void> {
  expect(await f.rows('select table_name, message from hypervault.import_error')).toEqual([]);
  expect((await f.engine.showStatus('shop')).setAside).toEqual([]);
}

it('waits for what a killed replica was committing', { timeout: 60_000 }, async () => {
  const f = await fixtureWithPatientServer();
  await f.source('create table t (id int primary key, v int); insert into t values (1, 1)');
  await f.init();
  await f.rows(`create table public.slow (); create function public.commit_slowly() returns trigger language plpgsql as $$
    begin if exists (select from public.slow) then perform pg_sleep(3); end if; return null; end $$;
    create constraint trigger slow after update on hypervault.import_position deferrable initially deferred
    for each row execute function public.commit_slowly()`);
  const replica = startReplicaProcess(f.config, 'start');
  await f.source('insert into t values (2, 2)');
  await f.caughtUp();
  await f.rows('insert into public.slow default values');
  await f.source('insert into t values (3, 3); update t set v = 4 where id = 2');
  await waitFor(
    async () => {
      replica.expectAlive();
      return (
        (await f.rows(`select from pg_stat_activity where wait_event = 'PgSleep' and query = 'commit'`)).length > 0
      );
    },
    { timeoutMs: 20_000, everyMs: 10, what: 'a commit' },
  );
  await replica.kill();
  await f.rows('delete from public.slow');
  await f.start();
  await f.source('insert into t values (5, 5)');
  await f.caughtUp();
  await expectNothingAside(f);
  expect(await expectSameDatabase(f)).toEqual({ t: 4 });
});

it('ends what a killed copy was still building', { timeout: 60_000 }, async () => {
  const f = await fixtureWithPatientServer();
  await f.source('create table t (id int primary key, v int, key (v)); insert into t values (1, 1), (2, 2)');
  await f.engine.createReplicaSchema();
  await f.engine.addSource('shop');
  // Keys are made one after the other, and none before the gate is opened
  await f.rows(`create function public.at_gate() returns event_trigger language plpgsql as $$
    begin perform pg_advisory_xact_lock(42); end $$;
    create event trigger gate on ddl_command_start when tag in ('ALTER TABLE') execute function public.at_gate()`);
  const gate = new pg.Client(f.target.connection);
  await gate.connect();
  const atGate = async (): Promise<number[]> => {
    const rows = await f.rows<{ pid: number }>(
      `select pid from pg_stat_activity where datname = current_database() and wait_event = 'advisory' and query ~ 'primary key'`,
    );
    return rows.map(({ pid }) => pid);
  };
  const wait = { timeoutMs: 20_000, everyMs: 10, what: 'a key being made' };
  try {
    await gate.query('select pg_advisory_lock(42)');
    const copy = startReplicaProcess(f.config, 'init');
    await waitFor(async () => (await atGate()).length === 1, wait);
    const [first] = await atGate();
    await copy.kill();
    const again = f.engine.initReplica('shop');
    await waitFor(async () => (await atGate()).some((pid) => pid !== first), wait);
    await gate.query('select pg_advisory_unlock(42)');
    await again;
  } finally {
    await gate.end();
  }
  await expectNothingAside(f);
  expect(await expectSameDatabase(f)).toEqual({ t: 2 });
});
