// Sources that pg_chameleon 2.0 has replicated go on under ours. Its catalogue is made here by hand, as far as it is read.
import { describe, expect, it } from 'vitest';
import { expectSameRows } from './compare.ts';
import { type ImportFixture, importFixture, mariadbOfFile } from './fixture.ts';

const mariadb = mariadbOfFile();

const SOURCE_TABLES = `
  create table plain (id bigint auto_increment primary key, name varchar(20) not null, price decimal(10,2),
    state enum('new','sold') not null, changed datetime(3), note text);
  create table bytes (id int primary key, raw varbinary(4));
  create table numbers (id int unsigned primary key);
  create table disabled (id int primary key);
  create table late (id int primary key);
  insert into plain values (1, 'one', 1.5, 'new', '2025-01-01 00:00:00.123', 'tab\\there'), (2, 'two', null, 'sold', null, null);
  insert into bytes values (1, x'00ff'); insert into numbers values (1); insert into disabled values (1)`;

/** Tables and catalogue as pg_chameleon leaves them when it is stopped at the end of the source's log. */
async function leaveChameleon(
  f: ImportFixture,
  { status = 'stopped', consistent = true, pending = false, place = null as string | null } = {},
): Promise<void> {
  const [at] = (await f.server.query('show master status')) as { File: string; Position: number }[];
  // It stops behind the last row, before the commit
  const events = (await f.server.query(`show binlog events in '${at!.File}'`)) as { Event_type: string; Pos: number }[];
  const commit = events.findLast(({ Event_type }) => Event_type === 'Xid')!.Pos;
  const [file, offset] = (place ?? `${at!.File}:${commit}`).split(':');
  await f.rows(`
    create schema ${f.schema};
    create type ${f.schema}.enum_plain_state as enum ('new', 'sold');
    create table ${f.schema}.plain (id bigserial primary key, name character varying(20) not null, price numeric(10,2),
      state ${f.schema}.enum_plain_state, changed timestamp without time zone, note text);
    insert into ${f.schema}.plain values (1, 'one', 1.5, 'new', '2025-01-01 00:00:00.123', E'tab\\there'), (2, 'two', null, 'sold', null, null);
    create table ${f.schema}.bytes (id integer primary key, raw bytea);
    insert into ${f.schema}.bytes values (1, '00FF');
    create table ${f.schema}.numbers (id integer primary key);
    create table ${f.schema}.disabled (id integer primary key);
    create schema sch_chameleon;
    create view sch_chameleon.v_version as select '2.0.10'::text as t_version;
    create type sch_chameleon.status as enum ('ready', 'initialised', 'stopped', 'running', 'error');
    create table sch_chameleon.t_sources (i_id_source bigint, t_source text, jsb_schema_mappings jsonb,
      enm_status sch_chameleon.status, b_consistent boolean, enm_source_type text);
    create table sch_chameleon.t_replica_batch (i_id_source bigint, t_binlog_name text, i_binlog_position bigint,
      b_processed boolean, b_replayed boolean, ts_created timestamp default clock_timestamp());
    create table sch_chameleon.t_replica_tables (i_id_source bigint, v_table_name text, v_schema_name text, b_replica_enabled boolean);
    insert into sch_chameleon.t_sources values (1, 'shop', '{"${f.schema}": "${f.schema}"}', '${status}', ${consistent}, 'mysql');
    insert into sch_chameleon.t_replica_batch values (1, 'binlog.000001', 4, true, ${!pending}), (1, '${file}', ${offset}, false, false);
    insert into sch_chameleon.t_replica_tables
      select 1, name, '${f.schema}', name <> 'disabled' from unnest('{plain,bytes,numbers,disabled}'::text[]) name`);
}

describe('upgrade-replica-schema beside a catalogue of pg_chameleon', () => {
  it('goes on where it stopped, and copies anew only what it has altered', async () => {
    const f = await importFixture(mariadb());
    await f.source(SOURCE_TABLES);
    await leaveChameleon(f);
    await f.source(`insert into plain values (3, 'three', 3, 'new', now(3), 'later'); update plain set name = 'ONE' where id = 1;
      delete from plain where id = 2; insert into bytes values (2, x'5c00'); insert into late values (1)`);
    const { takenOver } = await f.engine.upgradeReplicaSchema();
    const name = (table: string): string => `${f.schema}.${table}`;
    expect(takenOver).toEqual([
      {
        source: 'shop',
        refusal: null,
        followed: [name('plain')],
        aside: [
          { table: name('bytes'), reason: expect.stringMatching(/raw \(varbinary\(4\)\): bytes are kept as the text/) },
          { table: name('disabled'), reason: 'pg_chameleon had disabled it' },
          { table: name('late'), reason: 'pg_chameleon did not replicate it' },
          {
            table: name('numbers'),
            reason: expect.stringMatching(/id .*: rows beyond the range of integer are missing/),
          },
        ],
      },
    ]);
    const first = await f.rows(`select ctid, xmin::text from ${f.schema}.plain where id = 2`);
    expect(first).toHaveLength(1);
    await f.start();
    await f.caughtUp();
    await expectSameRows(f, 'plain', ['id', 'name', 'price', 'state', 'note']);
    expect(await f.rows('select enm_status from sch_chameleon.t_sources')).toEqual([{ enm_status: 'error' }]);
    await f.engine.syncTables('shop', 'disabled');
    const stop = await f.start();
    await f.source("insert into bytes values (3, x'0d0a'); insert into late values (2)");
    await f.caughtUp();
    await stop();
    expect(await f.rows(`select id, raw from ${f.schema}.bytes order by id`)).toEqual([
      { id: 1, raw: Buffer.from('00ff', 'hex') },
      { id: 2, raw: Buffer.from('5c00', 'hex') },
      { id: 3, raw: Buffer.from('0d0a', 'hex') },
    ]);
    expect(await f.rows('select message from hypervault.import_error')).toEqual([]);
    expect(await f.engine.upgradeReplicaSchema()).toMatchObject({ takenOver: [] });
    await f.engine.detachReplica('shop');
    const [row] = await f.rows(`insert into ${f.schema}.plain (name, state) values ('own', 'new') returning id`);
    expect(row).toEqual({ id: '4' });
  });

  it.each([
    [{ status: 'running' }, /status in pg_chameleon is running: stop it/],
    [{ consistent: false }, /tables are not consistent yet/],
    [{ pending: true }, /last 1 batches are not applied/],
    [{ place: 'binlog.009999:4' }, /the source's log cannot be read from binlog.009999:4/],
  ])('refuses what has no single place: %j', async (state, refusal) => {
    const f = await importFixture(mariadb());
    await f.source(SOURCE_TABLES);
    await leaveChameleon(f, state);
    const { takenOver } = await f.engine.upgradeReplicaSchema();
    expect(takenOver).toEqual([{ source: 'shop', refusal: expect.stringMatching(refusal), followed: [], aside: [] }]);
    expect(await f.engine.showStatus()).toEqual([]);
  });

  it('does not begin in the middle of a transaction', async () => {
    const f = await importFixture(mariadb());
    await f.source(SOURCE_TABLES);
    await f.source('begin; insert into late values (5); insert into late values (6); commit');
    const [at] = (await f.server.query('show master status')) as { File: string }[];
    const events = (await f.server.query(`show binlog events in '${at!.File}'`)) as {
      Event_type: string;
      Pos: number;
    }[];
    const middle = events.findLast(({ Event_type }) => /^Write_rows/.test(Event_type))!.Pos;
    await leaveChameleon(f, { place: `${at!.File}:${middle}` });
    const { takenOver } = await f.engine.upgradeReplicaSchema();
    expect(takenOver[0]!.refusal).toMatch(/no transaction of the source's log begins at .*Write_rows/);
  });
});
