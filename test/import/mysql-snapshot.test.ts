// A copy of a MySQL whose commits take long between the binlog, where they are seen, and the tables, where they are not yet.
import { expect, it, onTestFinished } from 'vitest';
import { expectSameDatabase } from './compare-tables.ts';
import { importFixture, mysqlOfFile } from './fixture.ts';
import { startRandomLoad, withMysqlSession } from './random-load.ts';

const mysql = mysqlOfFile();

it.each(['all rights', 'no RELOAD'])(
  'copies what was being committed when the copy began (%s)',
  {
    timeout: 60_000,
  },
  async (rights) => {
    const name = rights === 'all rights' ? undefined : `few_${process.pid}`;
    if (name !== undefined) {
      await mysql().query(`create user ${name}@'127.0.0.1' identified by 'secret';
      grant select, lock tables, replication slave, replication client on *.* to ${name}@'127.0.0.1'`);
      onTestFinished(() =>
        mysql()
          .query(`drop user ${name}@'127.0.0.1'`)
          .then(() => {}),
      );
    }
    const user = name === undefined ? {} : { db_conn: { ...mysql().connection, user: name, password: 'secret' } };
    const f = await importFixture(mysql(), { source: user });
    await f.source('create table t (id int auto_increment primary key, v int); insert into t (v) values (0)');
    await mysql().query('set global sync_binlog = 1; set global binlog_group_commit_sync_delay = 60000');
    onTestFinished(() =>
      mysql()
        .query('set global sync_binlog = 0; set global binlog_group_commit_sync_delay = 0')
        .then(() => {}),
    );
    const load = startRandomLoad({}, (turns) =>
      withMysqlSession(mysql(), f.schema, async (client) => {
        while (turns.going) {
          await client.query('insert into t (v) values (1)');
          await turns.done();
        }
      }),
    );
    await f.init();
    await load.stop();
    await mysql().query('set global binlog_group_commit_sync_delay = 0');
    await f.start();
    await f.caughtUp();
    expect((await expectSameDatabase(f)).t).toBeGreaterThan(3);
  },
);
