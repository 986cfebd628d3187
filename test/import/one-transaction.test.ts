import { expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { importFixture, mariadbOfFile } from './fixture.ts';

const mariadb = mariadbOfFile();

it('stores the place of the log in the very transaction that writes the rows up to it', async () => {
  const f = await importFixture(mariadb());
  await f.source('create table t (id int primary key)');
  await f.init();
  // Which transaction wrote a row, and which one stored a place
  await f.rows(`create table public.written (by text, tx bigint);
    create function public.note() returns trigger language plpgsql as
      $$ begin insert into public.written values (tg_table_name, pg_current_xact_id()::text::bigint); return null; end $$;
    create trigger note after insert on ${f.schema}.t for each row execute function public.note();
    create trigger note after update on hypervault.import_position for each row execute function public.note()`);
  await f.start();
  for (let id = 1; id <= 5; id++) {
    await f.source(`insert into t values (${id})`);
    await waitFor(async () => (await f.rows(`select from ${f.schema}.t where id = ${id}`)).length === 1);
  }
  const by = async (table: string): Promise<string[]> =>
    (await f.rows<{ tx: string }>('select distinct tx from public.written where by = $1', [table])).map(({ tx }) => tx);
  const rows = await by('t');
  expect(rows).toHaveLength(5);
  expect(await by('import_position')).toEqual(expect.arrayContaining(rows));
});

it('leaves the end of several changes of a row, in whatever order they come', async () => {
  const f = await importFixture(mariadb());
  await f.source(`create table t (id int primary key, v varchar(9));
    insert into t values (1, 'old'), (2, 'old'), (3, 'old'), (4, 'old'), (5, 'five'), (6, 'six'), (7, 'old'), (8, 'old')`);
  await f.init();
  await f.start();
  await f.source(`begin;
    delete from t where id = 1; insert into t values (1, 'back');
    delete from t where id = 2; insert into t values (2, 'back'); delete from t where id = 2;
    update t set v = 'new' where id = 3; delete from t where id = 3;
    insert into t values (10, 'x'); delete from t where id = 10; insert into t values (10, 'again');
    insert into t values (11, 'x'); delete from t where id = 11;
    update t set id = 20 where id = 4; insert into t values (4, 'other');
    update t set id = 99 where id = 5; update t set id = 5 where id = 6; update t set id = 6 where id = 99;
    update t set id = 30 where id = 7; delete from t where id = 30;
    replace into t values (8, 'replaced');
    commit`);
  await f.caughtUp();
  const rows = await f.source('select id, v from t order by id');
  expect(await f.rows(`select id, v from ${f.schema}.t order by id`)).toEqual(rows);
  expect(rows).toEqual([
    { id: 1, v: 'back' },
    { id: 4, v: 'other' },
    { id: 5, v: 'six' },
    { id: 6, v: 'five' },
    { id: 8, v: 'replaced' },
    { id: 10, v: 'again' },
    { id: 20, v: 'old' },
  ]);
  expect(await f.rows('select * from hypervault.import_error')).toEqual([]);
});

it('counts every part of a transaction that is larger than a batch', async () => {
  const f = await importFixture(mariadb(), { source: { replay_max_rows: 10 } });
  await f.source('create table t (id int primary key)');
  await f.init();
  await f.start();
  const { replayed: before } = await f.engine.showStatus('shop');
  await f.source(
    `begin; ${[0, 1, 2, 3].map((part) => `insert into t select seq + ${part * 30} from seq_1_to_30`).join('; ')}; commit`,
  );
  await f.caughtUp();
  const { replayed } = await f.engine.showStatus('shop');
  expect(replayed.changes - before.changes).toBe(120n);
  expect(replayed.transactions - before.transactions).toBe(1n);
});
