// What is written in the very last moment of either side, and what numbers rows there afterwards.
import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { expectSame, logicalServerOfFile, postgresFixture } from './postgres-fixture.ts';

const server = logicalServerOfFile();

/** A transaction that has written and not committed yet. */
async function openWrite(connection: pg.ClientConfig, sql: string): Promise<pg.Client> {
  const client = new pg.Client(connection);
  await client.connect();
  onTestFinished(() => client.end());
  await client.query('begin');
  await client.query(sql);
  return client;
}

it('brings what commits while writes are being stopped, both ways, and numbers rows on', async () => {
  const f = await postgresFixture(server(), {
    extra: `create table audit (what text); alter table audit replica identity full;
      create table orders (id bigserial primary key, note text); insert into orders (note) values ('old')`,
  });
  await f.init();
  await f.start();
  const waits = (ask: (sql: string) => Promise<unknown[]>) => () =>
    waitFor(
      async () =>
        (
          await ask(
            `select from pg_stat_activity
              where datname = current_database() and wait_event_type = 'Lock' and application_name like 'pg-hypervault%'`,
          )
        ).length > 0,
      { timeoutMs: 15_000, everyMs: 10, what: 'the stop of writes waiting for a writer' },
    );

  const last = await openWrite(f.sourceConnection, `insert into orders (note) values ('last of the source')`);
  const switching = f.engine.switchOver('shop');
  await Promise.race([waits(f.source)(), switching]);
  // Past the time in which Postgres would have found us, the application goes on to a table that is stopped already: a
  // deadlock, in which it is not the one who loses
  await last.query('select pg_sleep(1.3)');
  await last.query(`insert into audit values ('last of the source')`);
  await last.query('commit');
  await switching;
  await expectSame(f, 'audit');
  await expectSame(f, 'orders');

  await f.targets[0]!.query(`insert into orders (note) select 'new ' || n from generate_series(1, 5) n`);
  const lastBack = await openWrite(f.targets[0]!.connection, `insert into orders (note) values ('last of the target')`);
  const returning = f.engine.back('shop');
  await Promise.race([waits(f.rows)(), returning]);
  await lastBack.query('commit');
  await returning;
  await expectSame(f, 'orders');
  // The target has numbered rows meanwhile: the source numbers on behind them
  await f.source(`insert into orders (note) values ('numbered by the source')`);
  const ids = (await f.source('select id::int from orders order by id')).map(({ id }) => id);
  expect(ids).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

it('makes a foreign key in all shards or in none', async () => {
  const f = await postgresFixture(server(), {
    shards: true,
    extra: `create table tenant (tenant_id int primary key);
      create table referral (tenant_id int references tenant, invited int references tenant, primary key (tenant_id, invited));
      insert into tenant select generate_series(1, 40); insert into referral select n, n from generate_series(1, 40) n;
      insert into referral values (7, 8), (8, 9), (9, 10), (10, 11)`,
    source: { shard_by: 'tenant_id' },
  });
  await f.init();
  const { foreignKeys } = await f.engine.switchOver('shop');
  expect(foreignKeys.map(({ name, made }) => `${name} ${made}`)).toEqual([
    'referral_invited_fkey false',
    'referral_tenant_id_fkey true',
  ]);
  const counts = `select conname::text as name, count(*)::int as n from pg_constraint where contype = 'f' and conname like 'referral%' group by 1`;
  for (const n of [0, 1]) expect(await f.rows(counts, n)).toEqual([{ name: 'referral_tenant_id_fkey', n: 4 }]);
});
