// The source's log found again: after a restart, on another server by GTID, and not at all when it was purged.
import { describe, expect, it, onTestFinished } from 'vitest';
import { BinlogPurgedError } from '../../src/import/index.ts';
import { type Mariadb, startMariadb } from '../support/mariadb.ts';
import { startProxy } from '../support/proxy.ts';
import { waitFor } from '../support/wait-for.ts';
import { expectSameRows } from './compare.ts';
import { type ImportFixture, importFixture, mariadbOfFile } from './fixture.ts';
import { CREATE_COUNTERS, CREATE_ITEMS, ITEM_COLUMNS, startLoad } from './load.ts';

const mariadb = mariadbOfFile();

/** A second MariaDB that replicates the first by GTID. */
async function replicaOf(primary: Mariadb): Promise<Mariadb> {
  const replica = (await startMariadb({
    settings: { 'server-id': 2, 'log-slave-updates': 'on', 'log-bin': 'other-name' },
  }))!;
  const { host, port, user, password } = primary.connection;
  await replica.query(`reset master; set global gtid_slave_pos = '';
    change master to master_host = '${host}', master_port = ${port}, master_user = '${user}',
      master_password = '${password}', master_use_gtid = slave_pos;
    start slave`);
  return replica;
}

/** Waits until the replica has everything, then lets it go on alone; the primary takes no writes any more. */
async function promote(replica: Mariadb, primary: Mariadb): Promise<void> {
  await primary.query('set global read_only = on');
  onTestFinished(() => primary.query('set global read_only = off').then(() => {}));
  const at = async (server: Mariadb): Promise<string> => {
    const [row] = (await server.query('select @@gtid_binlog_pos as at')) as { at: string }[];
    return row!.at;
  };
  const wanted = await at(primary);
  await waitFor(async () => (await at(replica)) === wanted, {
    timeoutMs: 20_000,
    what: `the replica reaching ${wanted}`,
  });
  await replica.query('stop slave; reset slave all');
}

/** The rows of items and counters, as the server of the moment has them. */
async function expectSame(f: ImportFixture, server: Mariadb): Promise<void> {
  const there = {
    ...f,
    source: async (sql: string) => (await server.query(sql, [], f.schema)) as Record<string, unknown>[],
  };
  await waitFor(
    async () => {
      const [theirs] = await there.source(
        'select count(*) as n, coalesce(sum(crc32(concat(id, code, price))), 0) as s from items',
      );
      const [ours] = await f.rows<{ n: number }>(`select count(*)::int as n from ${f.schema}.items`);
      return Number(theirs!.n) === ours!.n;
    },
    { timeoutMs: 20_000, what: 'the target having as many rows' },
  );
  await waitFor(
    () =>
      expectSameRows(there, 'items', ITEM_COLUMNS).then(
        () => true,
        () => false,
      ),
    { timeoutMs: 10_000, everyMs: 200, what: 'the target having the same rows' },
  ).catch(() => {});
  await expectSameRows(there, 'items', ITEM_COLUMNS);
  await expectSameRows(there, 'counters', ['id', 'n']);
}

describe('GTID', () => {
  it('goes on after a stop, by statements and rows', async () => {
    const f = await importFixture(mariadb(), { source: { gtid_enable: true } });
    await f.source('create table t (id int primary key); insert into t values (1)');
    await f.init();
    await f.source('insert into t values (2)');
    const stop = await f.start();
    await f.caughtUp();
    await stop();
    await f.source('alter table t add column v int default 7; insert into t values (3, 8)');
    await f.start();
    await f.caughtUp();
    expect(await f.rows(`select * from ${f.schema}.t order by id`)).toEqual([
      { id: 1, v: 7 },
      { id: 2, v: 7 },
      { id: 3, v: 8 },
    ]);
    const [{ gtid }] = (await f.rows<{ gtid: string }>('select gtid from hypervault.import_position')) as [
      { gtid: string },
    ];
    expect(gtid).toMatch(/^0-1-\d+$/);
  });

  it('goes on by itself on a replica that was promoted, and knows its own log afterwards', {
    timeout: 90_000,
  }, async () => {
    const replica = await replicaOf(mariadb());
    const target = { port: mariadb().connection.port };
    const proxy = await startProxy(target);
    const f = await importFixture(mariadb(), {
      source: { gtid_enable: true, db_conn: { ...mariadb().connection, port: proxy.port } },
    });
    await f.source(`${CREATE_ITEMS}; ${CREATE_COUNTERS}; insert into counters values (1, 1000000), (2, 0)`);
    await f.init();
    const stop = await f.start();
    const load = startLoad(f, { seed: 21, pauseMs: 5 });
    await waitFor(() => load.transactions > 60, { timeoutMs: 20_000 });
    await load.stop();
    // Rows that the new server has and we do not yet are the ones that a wrong place would lose or repeat
    proxy.blackhole();
    await f.source("insert into items (code, price, note) values ('unseen', 1, 'before the failover')");
    await promote(replica, mariadb());
    await replica.query("insert into items (code, price, note) values ('new', 2, 'after the failover')", [], f.schema);
    target.port = replica.connection.port;
    await proxy.restore();
    const after = startLoad({ ...f, server: replica }, { seed: 22, pauseMs: 5 });
    await waitFor(() => after.transactions > 60, { timeoutMs: 20_000 });
    await replica.query('alter table items add column added int not null default 5', [], f.schema);
    await waitFor(() => after.transactions > 90, { timeoutMs: 20_000 });
    await after.stop();
    await expectSame(f, replica);
    await stop();
    // A new table of the new server, copied beside the others, then all of it detached: places of its log are compared
    await replica.query('create table late (id int primary key); insert into late values (1), (2)', [], f.schema);
    await f.engine.syncTables('shop', [`${f.schema}.late`]);
    await replica.query(
      "insert into late values (3); insert into items (code, price) values ('last', 3)",
      [],
      f.schema,
    );
    expect(await f.rows('select message from hypervault.import_error')).toEqual([]);
    await f.engine.detachReplica('shop');
    expect(await f.rows(`select id from ${f.schema}.late order by 1`)).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
    expect(await f.rows(`select added from ${f.schema}.items where code = 'last'`)).toEqual([{ added: 5 }]);
    await expectSame(f, replica);
  });
});

describe('a binlog that is not there', () => {
  it('is told, with what to do', async () => {
    // Its own: a session that still reads a file keeps it from being purged
    const f = await importFixture((await startMariadb())!);
    await f.source('create table t (id int primary key)');
    await f.init();
    await f.source('insert into t values (1); flush binary logs');
    const [status] = (await f.server.query('show master status')) as { File: string }[];
    // The server keeps a file until the storage engine has written down what is in it
    await waitFor(async () => {
      await f.server.query(`purge binary logs to '${status!.File}'`);
      return ((await f.server.query('show binary logs')) as unknown[]).length === 1;
    });
    await expect(f.engine.startReplica('shop')).rejects.toThrow(BinlogPurgedError);
    const [shown] = await f.engine.showStatus();
    expect(shown).toMatchObject({ status: 'error' });
    const [error] = await f.engine.showErrors();
    expect(error).toMatchObject({
      message: expect.stringMatching(/no longer has its binlog from binlog\.\d+:\d+/),
      remedy: 'hypervault import init-replica',
    });
    await f.engine.enableReplica('shop');
    await f.engine.initReplica('shop');
    await f.start();
    await f.source('insert into t values (2)');
    await f.caughtUp();
    expect(await f.rows(`select id from ${f.schema}.t order by 1`)).toEqual([{ id: 1 }, { id: 2 }]);
  });

  it('is noticed when the same name and place hold something else', async () => {
    const own = (await startMariadb())!;
    const f = await importFixture(own);
    await f.source('create table t (id int primary key); insert into t values (1)');
    await f.init();
    const [before] = (await own.query('show master status')) as { File: string; Position: number }[];
    // Set up anew: files are numbered from one again, and other transactions lie where the old ones were
    await own.query('reset master; set global gtid_slave_pos = "0-9-5"');
    const [row] = (await own.query('show master status')) as { File: string; Position: number }[];
    expect(row!.File).toBe(before!.File);
    await own.query('insert into t values (2); insert into t values (3); insert into t values (4)', [], f.schema);
    await f.rows(`update hypervault.import_position set position = $1`, [
      `${row!.File}:${((await own.query('show master status')) as { Position: number }[])[0]!.Position}`,
    ]);
    await expect(f.engine.startReplica('shop')).rejects.toThrow(/has another binlog than the one that was read/);
  });
});
