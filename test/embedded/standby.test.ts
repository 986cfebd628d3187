import pg from 'pg';
import { expect, test } from 'vitest';
import type { EmbeddedServer } from '../../src/embedded/index.ts';
import { ownServers } from '../support/own-server.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

async function query(server: EmbeddedServer, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(server.connection);
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

const rows = async (server: EmbeddedServer): Promise<number> =>
  (await query(server, 'select count(*)::int as n from t'))[0]!.n as number;

test('there and back: each time the former primary follows the new one, and nothing is lost', async () => {
  const embedded = await ownServers();
  let primary = embedded.servers[0]!;
  await query(primary, 'create table t (a int)');
  await query(primary, `select pg_create_physical_replication_slot('left_by_somebody')`);
  let standby = await embedded.makeStandby(primary);
  expect([embedded.standbys, embedded.connections.length]).toEqual([[standby], 1]);
  expect(await query(standby, 'select from pg_replication_slots')).toEqual([]);
  for (let times = 1; times <= 3; times++) {
    await query(primary, 'insert into t values (1)');
    await primary.stop();
    await standby.promote();
    await standby.stop();
    await standby.start();
    await primary.follow(standby);
    [primary, standby] = [standby, primary];
    expect(await rows(primary)).toBe(times);
    expect((await rejection(query(standby, 'insert into t values (2)'))).code).toBe('25006');
  }
  await query(primary, 'insert into t values (4)');
  await waitFor(async () => (await rows(standby)) === 4);
});

test('a server that has diverged does not pass for a standby', async () => {
  const embedded = await ownServers({ timeoutMs: 6_000 });
  const primary = embedded.servers[0]!;
  await query(primary, 'create table t (a int)');
  const standby = await embedded.makeStandby(primary);
  await standby.promote();
  await query(primary, 'insert into t values (1)');
  await query(standby, 'insert into t values (2)');
  expect((await rejection(primary.follow(standby))).message).toMatch(
    /server1 in .* does not receive from server1-standby1/,
  );
});

test('a standby is made while the primary runs and is written to; sessions stay, and no row is missing', async () => {
  const embedded = await ownServers();
  const primary = embedded.servers[0]!;
  const writer = new pg.Client(primary.connection);
  writer.on('error', () => {});
  await writer.connect();
  await writer.query('create table t (a int, pad text)');
  let written = 0;
  let on = true;
  const writing = (async () => {
    for (; on; written += 100) {
      await writer.query(`insert into t select n, repeat('x', 500) from generate_series(1, 100) as n`);
      if (written % 1_000 === 0) await writer.query('checkpoint');
    }
  })();
  try {
    await waitFor(() => written > 500);
    const before = written;
    const { pid } = primary;
    const standby = await embedded.makeStandby(primary);
    expect(primary.pid).toBe(pid);
    expect(written).toBeGreaterThan(before);
    on = false;
    await writing;
    await waitFor(async () => (await rows(standby)) === written, { what: 'every row on the standby' });
    expect(await query(primary, 'select from pg_replication_slots')).toEqual([]);
    await primary.kill();
    await standby.promote();
    expect(await rows(standby)).toBe(written);
    expect(await query(standby, 'select count(*)::int as bad from t where length(pad) <> 500')).toEqual([{ bad: 0 }]);
  } finally {
    on = false;
    await writing.catch(() => {});
    await writer.end().catch(() => {});
  }
});
