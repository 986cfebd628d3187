import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { finishMoves, moveShards, revertMoves } from '../../src/cluster/index.ts';
import { databaseOf, movableCluster } from '../support/movable-cluster.ts';
import { ownServers } from '../support/own-server.ts';
import { waitFor } from '../support/wait-for.ts';
import { lostOf, startWriters } from './writers.ts';

/** The oldest Postgres that moves know; Debian's package. */
const POSTGRES_15 = '/usr/lib/postgresql/15/bin';

test('moves and the way back on Postgres 15, where subscriptions know no origin', { timeout: 90_000 }, async ({
  skip,
}) => {
  if (!existsSync(POSTGRES_15)) {
    console.warn(`SKIPPED: there is no ${POSTGRES_15}; run: npm run test:setup (Debian package postgresql-15)`);
    return skip();
  }
  const { servers } = await ownServers({ servers: 2, binaryDirectory: POSTGRES_15, settings: { fsync: false } });
  const [a, b] = [databaseOf(servers[0]!.connection), databaseOf(servers[1]!.connection)];
  await a.query('create database control');
  const cluster = await movableCluster({ databases: [a, b, databaseOf({ ...a.connection, database: 'control' })] });
  const { setting } = cluster;
  const count = async ({ query }: typeof a): Promise<number> =>
    (await query('select count(*)::int as n from shard0002.entities')).rows[0].n;
  const writers = await startWriters({ live: setting, shards: [2], writers: 4, everyMs: 2 });
  await waitFor(async () => (await count(a)) > 50);
  await moveShards(setting, { shards: [2], to: 'b' }, { acceptStaleReads: true });
  const moved = await count(b);
  await waitFor(async () => (await count(a)) > moved + 50, { what: 'rows on the way back' });
  await revertMoves(setting);
  const report = await writers.stop();
  expect(report.failures).toEqual([]);
  expect(await lostOf(a, 'shard0002', report)).toEqual([]);
  const errors = await a.query('select sum(apply_error_count)::int as n from pg_stat_subscription_stats');
  expect(errors.rows[0].n ?? 0).toBe(0);
  await finishMoves(setting);
  expect(await cluster.leftovers()).toEqual([]);
});
