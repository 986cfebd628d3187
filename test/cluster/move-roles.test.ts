import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import {
  finishMoves,
  initCluster,
  janitor,
  type MoveSetting,
  migrate,
  moveShards,
  planMoves,
  revertMoves,
} from '../../src/cluster/index.ts';
import { installControl, shardMapOf } from '../../src/core/index.ts';
import { substitutePlaceholders } from '../../src/internal/psql-placeholders.ts';
import { databaseOf, leftOn, type ShardDatabase } from '../support/movable-cluster.ts';
import { ownServers } from '../support/own-server.ts';
import { rejection, waitFor } from '../support/wait-for.ts';
import { lostOf, startWriters } from './writers.ts';

const ROLES = { owner: 'the owner', migrator: 'hv_migrator', mover: 'hv_mover', app: 'hv_app' };
const ORDERS = `create table orders (id bigint primary key default next_id(), total numeric);
grant select, insert on orders to hv_app;
`;

function as<T extends object>(connection: T, user: string): T & { user: string; password: string } {
  return { ...connection, user, password: `of ${user}` };
}

test('moves, the way back and the janitor need no superuser; rows pass the fence as the owner of the tables', {
  timeout: 90_000,
}, async () => {
  const { servers } = await ownServers({ servers: 2, settings: { fsync: false, synchronous_commit: true } });
  const [a, b] = servers.map(({ connection }) => databaseOf(connection)) as [ShardDatabase, ShardDatabase];
  await a.query('create database control');
  const control = databaseOf({ ...a.connection, database: 'control' });
  const script = await readFile(new URL('../../sql/cluster/roles.sql', import.meta.url), 'utf8');
  for (const { connection, query } of [a, b]) {
    await query(substitutePlaceholders(script, { ...ROLES, database: connection.database }));
    for (const role of ['hv_migrator', 'hv_mover', 'hv_app']) await query(`alter role ${role} password 'of ${role}'`);
  }
  await a.query('grant connect, create on database control to "the owner"');
  const entries = [
    { ...as(a.connection, 'hv_migrator'), name: 'a', shards: '1-3' },
    { ...as(b.connection, 'hv_migrator'), name: 'b', shards: '3-5' },
  ];
  await initCluster(entries, as(control.connection, 'hv_migrator'), { grantTo: ['hv_app'] });
  await installControl(as(control.connection, 'hv_migrator'), { modules: ['kv', 'cluster'], grantTo: ['hv_app'] });
  const directory = await mkdtemp(join(tmpdir(), 'roles-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  await writeFile(join(directory, '001-orders.sql'), ORDERS);
  await migrate(shardMapOf(entries), { directory });

  const settingOf = (user: string): MoveSetting => ({
    control: as(control.connection, user),
    servers: { a: as(a.connection, user), b: as(b.connection, user) },
  });
  const mover = settingOf('hv_mover');
  const app = settingOf('hv_app');
  const superusers = await a.query('select rolname from pg_roles where rolsuper and rolname like $$hv%$$');
  expect(superusers.rows).toEqual([]);
  expect((await planMoves(mover, { shards: [2], to: 'b' }))[0]!.problems).toEqual([]);

  const writers = await startWriters({ live: app, shards: [2], writers: 6, table: 'orders' });
  const [move] = await moveShards(mover, { shards: [2], to: 'b' });
  expect(move!.state).toBe('moved');
  const count = async ({ query }: ShardDatabase): Promise<number> =>
    (await query('select count(*)::int as n from shard0002.orders')).rows[0].n;
  const atFlip = await count(b);
  // The stream back passes the fence of the old copy, whose own users don't.
  await waitFor(async () => (await count(a)) > atFlip + 30, { what: 'rows behind the fence' });
  const writer = databaseOf({ ...as(a.connection, 'hv_mover'), options: '-c role=the\\ owner' });
  expect((await rejection(writer.query('insert into shard0002.orders (total) values (1)'))).code).toBe('SV004');
  const reader = databaseOf(as(a.connection, 'hv_app'));
  expect((await rejection(reader.query('select * from shard0002.orders'))).code).toBe('42501');
  const applied = await a.query(
    `select subowner::regrole::text as owner, subpasswordrequired as password, subrunasowner as own from pg_subscription`,
  );
  expect(applied.rows).toEqual([{ owner: 'hv_mover', password: true, own: false }]);
  const tables = await b.query(`select distinct relowner::regrole::text as owner from pg_class
    join pg_namespace on pg_namespace.oid = relnamespace where nspname = 'shard0002' and relkind in ('r', 'S')`);
  expect(tables.rows).toEqual([{ owner: '"the owner"' }]);

  await revertMoves(mover, {});
  await moveShards(mover, { shards: [2], to: 'b' });
  const report = await writers.stop();
  expect(report.failures).toEqual([]);
  expect(await lostOf(b, 'shard0002', report)).toEqual([]);
  await finishMoves(mover);
  expect((await janitor(mover, { remove: true })).map(({ name }) => name)).toEqual([]);
  expect([...(await leftOn(a, 'a')), ...(await leftOn(b, 'b'))]).toEqual([]);
});
