// The fixtures themselves: a test that stands on one may trust it.
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { expect, test } from 'vitest';
import { freshDatabase } from './database.ts';
import { startMariadb } from './mariadb.ts';
import { startPgbouncer } from './pgbouncer.ts';

test('MariaDB writes whole rows to its binlog, and keeps what was committed through SIGKILL', async ({ skip }) => {
  const mariadb = await startMariadb();
  if (mariadb === undefined) return skip();
  await mariadb.query('create database shop; create table shop.t (id int primary key, name text); use shop');
  await mariadb.query(`insert into shop.t values (1, 'ä😀')`);
  const [settings] = (await mariadb.query(
    'select @@binlog_format f, @@binlog_row_image i, @@binlog_row_metadata m, @@log_bin b, @@gtid_binlog_pos g',
  )) as Record<string, unknown>[];
  expect(settings).toMatchObject({ f: 'ROW', i: 'FULL', m: 'FULL', b: 1 });
  expect(settings!.g).toMatch(/^0-1-\d+$/);
  if (process.getuid?.() === 0) expect(ownerOf(mariadb.pid!)).not.toBe(0);
  await mariadb.kill();
  await expect(mariadb.query('select 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  await mariadb.start();
  expect(await mariadb.query('select name from t', [], 'shop')).toEqual([{ name: 'ä😀' }]);
});

for (const auth of ['scram-sha-256', 'trust'] as const) {
  test(`PgBouncer shares sessions by transaction, with ${auth} to its clients`, async ({ skip }) => {
    const database = await freshDatabase();
    const pgbouncer = await startPgbouncer(database.connection, { auth, settings: { default_pool_size: 1 } });
    if (pgbouncer === undefined) return skip();
    const clients = [0, 1].map(() => new pg.Client(pgbouncer.connection));
    for (const client of clients) client.on('error', () => {});
    await Promise.all(clients.map((client) => client.connect()));
    const pids = await Promise.all(clients.map(async (client) => (await client.query('select pg_backend_pid()')).rows));
    expect(pids[0]).toEqual(pids[1]);
    const stranger = new pg.Client({ ...pgbouncer.connection, password: 'wrong' });
    const answer = await stranger.connect().then(
      () => 'let in',
      () => 'refused',
    );
    expect(answer).toBe(auth === 'trust' ? 'let in' : 'refused');
    await stranger.end().catch(() => {});
    await pgbouncer.kill();
    await expect(clients[0]!.query('select 1')).rejects.toThrow();
    await pgbouncer.start();
    await Promise.all(clients.map((client) => client.end().catch(() => {})));
  });
}

/** The real user of a process, from Linux' /proc. */
function ownerOf(pid: number): number {
  return Number(/^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
}
