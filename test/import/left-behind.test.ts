import { describe, expect, it } from 'vitest';
import type { SourceServer } from '../support/source-server.ts';
import { importFixture, mariadbOfFile, mysqlOfFile } from './fixture.ts';

describe.each([
  ['MariaDB', mariadbOfFile()],
  ['MySQL', mysqlOfFile()],
] as [string, () => SourceServer][])('a report on %s', (_name, server) => {
  it('names the views, triggers, routines and events that do not come along, and the copy goes on', async () => {
    const f = await importFixture(server());
    await f.source(`create table t (id int primary key);
      create view v as select * from t;
      create view w as select * from v;
      create trigger before_t before insert on t for each row set new.id = new.id + 1;
      create procedure p() select 1;
      create event e on schedule every 1 year do select 1`);
    await f.engine.createReplicaSchema();
    const { schema } = f;
    expect((await f.engine.preflight('shop')).map(({ level, message }) => `${level}: ${message}`)).toEqual([
      `warning: 2 views not carried over: ${schema}.v, ${schema}.w; make them in the target in the SQL of Postgres`,
      `warning: 1 trigger not carried over: ${schema}.before_t; what they do to rows arrives as rows; make them in the target for the time after detach-replica`,
      `warning: 1 procedure not carried over: ${schema}.p; write them anew in the target`,
      `warning: 1 event not carried over: ${schema}.e; what they do to rows arrives as rows; plan them anew for the time after detach-replica`,
    ]);
    await f.init();
    expect(await f.rows(`select table_name from information_schema.tables where table_schema = '${schema}'`)).toEqual([
      { table_name: 't' },
    ]);
  });
});
