// A process killed between a server's commit and what the catalogue is told of it.
import pg from 'pg';
import { expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { expectSameDatabase } from './compare-tables.ts';
import { importFixture, mariadbOfFile } from './fixture.ts';
import { startReplicaProcess } from './replica-process.ts';

const mariadb = mariadbOfFile();

it('brings the catalogue to what was applied when the replica is killed before it is told', {
  timeout: 60_000,
}, async () => {
  const f = await importFixture(mariadb());
  await f.source(`create table parent (id int primary key); create table child (id int primary key, parent_id int);
    create table a (id int primary key); create table b (id int primary key); create table gone (id int primary key);
    insert into parent values (1); insert into child values (1, 1); insert into a values (1); insert into b values (2)`);
  await f.init();
  for (const statement of [
    'alter table child add constraint to_parent foreign key (parent_id) references parent (id)',
    'rename table a to tmp, b to a, tmp to b',
    'drop table gone',
  ]) {
    const applied = (): Promise<unknown[]> =>
      f.rows('select table_id, version from hypervault.import_structure order by 1');

    const replica = startReplicaProcess(f.config, 'start');
    await f.source('insert into parent select max(id) + 1 from parent');
    await f.caughtUp();
    const before = JSON.stringify(await applied());
    // Applied on the server, while the catalogue cannot be written to
    const holder = new pg.Client(f.target.connection);
    await holder.connect();
    try {
      await holder.query('begin; lock table hypervault.import_table in exclusive mode');
      await f.source(statement);
      await waitFor(async () => JSON.stringify(await applied()) !== before, {
        timeoutMs: 30_000,
        what: `${statement} being applied`,
      });
      await replica.kill();
      // What it had sent and was waiting for the lock dies with it
      await holder.query(`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name like 'pg-hypervault import%'`);
    } finally {
      await holder.end();
    }
  }
  const names = (): Promise<unknown[]> =>
    f.rows(`select origin_table as name, source_structure->>'name' as inside from hypervault.import_table order by 1`);
  expect(await names()).toContainEqual({ name: 'gone', inside: 'gone' });
  // Copied anew by its name, it is the table that has the name now
  await f.source('insert into a values (3); insert into b values (4)');
  await f.engine.syncTables('shop', [`${f.schema}.a`]);
  const stop = await f.start();
  await f.source('insert into a values (5); insert into b values (6); insert into child values (2, 1)');
  await f.caughtUp();
  expect(await names()).toEqual(['a', 'b', 'child', 'parent'].map((name) => ({ name, inside: name })));
  expect(await expectSameDatabase(f)).toEqual({ a: 3, b: 3, child: 2, parent: 4 });
  await stop();
  const { foreignKeys } = await f.engine.detachReplica('shop');
  expect(foreignKeys).toMatchObject([{ name: 'to_parent', made: true }]);
});
