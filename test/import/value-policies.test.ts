// Values that Postgres cannot hold: each follows its policy, the same when copied and when streamed, and is counted.
import { describe, expect, it } from 'vitest';
import { importFixture, mariadbOfFile, textRows } from './fixture.ts';

const mariadb = mariadbOfFile({ 'sql-mode': 'ALLOW_INVALID_DATES' });

const CREATE = `create table t (
  id int primary key,
  d date,
  dn date not null,
  dt datetime(3) not null,
  ts timestamp not null default '0000-00-00 00:00:00',
  e enum('a','b') not null,
  flag tinyint(1),
  clock time
)`;
const VALUES = `'0000-00-00', '0000-00-00', '2024-00-10 01:02:03', '0000-00-00 00:00:00', '', 5, '-10:00:00'`;

describe('values that fit nowhere', () => {
  it('follow the policy of their column, their type, or the default', async () => {
    const f = await importFixture(mariadb(), {
      source: {
        value_policy: { date: '1900-01-01', enum: 'b', 'tinyint(1)': null, '*': null },
      },
      config: {
        type_override: {
          'tinyint(1)': { override_to: 'boolean', override_tables: '*' },
          time: { override_to: 'time', override_tables: '*' },
        },
      },
    });
    Object.assign(f.config.sources.shop!.value_policy as object, {
      [`${f.schema}.t.dt`]: '-infinity',
      [`${f.schema}.t.ts`]: '1970-01-01',
    });
    await f.source(
      `${CREATE}; insert into t values (1, ${VALUES}), (2, '2024-02-29', '2024-02-29', '2024-02-29', '2024-02-29', 'a', 1, '10:00')`,
    );
    await f.init();
    await f.start();
    await f.source(
      `insert into t values (3, ${VALUES}), (4, '2024-02-29', '2024-02-29', '2024-02-29', '2024-02-29', 'a', 1, '10:00')`,
    );
    await f.caughtUp();
    const bad = {
      d: '1900-01-01',
      dn: '1900-01-01',
      dt: '-infinity',
      ts: '1970-01-01 00:00:00',
      e: 'b',
      flag: null,
      clock: null,
    };
    const good = {
      d: '2024-02-29',
      dn: '2024-02-29',
      dt: '2024-02-29 00:00:00',
      ts: '2024-02-29 00:00:00',
      e: 'a',
      flag: 't',
      clock: '10:00:00',
    };
    expect(await textRows(f.target, `select * from ${f.schema}.t order by id`)).toEqual([
      { id: '1', ...bad },
      { id: '2', ...good },
      { id: '3', ...bad },
      { id: '4', ...good },
    ]);
    expect(
      await f.rows('select column_name as c, occurrences::int as n from hypervault.import_altered_column order by 1'),
    ).toEqual(['clock', 'd', 'dn', 'dt', 'e', 'flag', 'ts'].map((c) => ({ c, n: 2 })));
    expect(
      await f.rows(
        "select key, original, replacement from hypervault.import_altered_value where column_name in ('dt', 'flag') order by 1, 2",
      ),
    ).toEqual([
      { key: '1', original: '2024-00-10 01:02:03.000', replacement: '-infinity' },
      { key: '1', original: '5', replacement: null },
      { key: '3', original: '2024-00-10 01:02:03.000', replacement: '-infinity' },
      { key: '3', original: '5', replacement: null },
    ]);
  });

  it('keep the row without a policy: NULL where the column takes it, else -infinity', async () => {
    const f = await importFixture(mariadb());
    await f.source(`create table t (id int primary key, d date, dn date not null, dt datetime not null);
      insert into t values (1, '0000-00-00', '0000-00-00', '0000-00-00 00:00:00')`);
    await f.init();
    await f.start();
    await f.source("insert into t values (2, '2024-02-30', '2024-00-01', '2024-01-00 00:00:00')");
    await f.caughtUp();
    const row = { d: null, dn: '-infinity', dt: '-infinity' };
    expect(await textRows(f.target, `select * from ${f.schema}.t order by id`)).toEqual([
      { id: '1', ...row },
      { id: '2', ...row },
    ]);
  });

  it('set their table aside when the policy says error, named by column, value and remedy', async () => {
    const f = await importFixture(mariadb(), { source: { value_policy: { date: 'error' } } });
    await f.source(`create table t (id int primary key, d date); create table u (id int primary key, d date);
      insert into t values (1, '0000-00-00')`);
    await f.engine.createReplicaSchema();
    await f.engine.addSource('shop');
    const { tables } = await f.engine.initReplica('shop');
    expect(tables.find(({ table }) => table.endsWith('.t'))!.failure).toMatch(
      /t\.d: "0000-00-00" is no day of the calendar.*value_policy/,
    );
    await f.start();
    await f.source("insert into u values (1, '2024-01-01'), (2, '0000-00-00')");
    await f.caughtUp();
    const errors = await f.engine.showErrors();
    expect(errors.map(({ table }) => table).sort()).toEqual([`${f.schema}.t`, `${f.schema}.u`]);
    expect(errors[0]).toMatchObject({ remedy: expect.stringMatching(/sync-tables/) });
  });
});
