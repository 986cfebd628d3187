import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { type MoveProgress, type MoveStep, moveShards, type StepPhase } from '../../src/cluster/index.ts';
import type { Datastore } from '../../src/core/index.ts';
import { movableCluster } from '../support/movable-cluster.ts';
import { rejection } from '../support/wait-for.ts';
import { lostOf, startWriters } from './writers.ts';

const TABLES = 8;
const HAND_OVERS = 4;

async function tables(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'move-locks-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const text = Array.from(
    { length: TABLES },
    (_, n) => `create table t${n} (id bigint primary key default next_id(), number serial, writer int not null);`,
  );
  await writeFile(join(directory, '001-tables.sql'), text.join('\n'));
  return directory;
}

/** Writes to all tables in one transaction, half of the writers in the order of the others turned around. */
async function writeAcross(db: Datastore, writer: number, going: () => boolean): Promise<number> {
  const order = Array.from({ length: TABLES }, (_, n) => `t${writer % 2 === 0 ? n : TABLES - 1 - n}`);
  let done = 0;
  for (; going(); done += 1) {
    await db.transaction(2, async (t) => {
      await t.query(`insert into shard0002.${order[0]} (writer) values (${writer})`);
      await t.query(`insert into shard0002.entities (type, body) values (7, '')`);
      for (const table of order.slice(1)) await t.query(`insert into shard0002.${table} (writer) values (${writer})`);
    });
  }
  return done;
}

test('a shard of many tables is handed over again and again while transactions write to them in opposing orders', {
  timeout: 120_000,
}, async () => {
  const cluster = await movableCluster();
  const { a, b, setting } = cluster;
  await cluster.migrate(await tables());
  const db = await cluster.datastore({ poolMax: 8 });
  const puts = await startWriters({ live: setting, shards: [2], writers: 8, everyMs: 2 });
  let going = true;
  onTestFinished(() => {
    going = false;
  });
  const across = [0, 1, 2, 3, 4, 5].map((writer) => writeAcross(db, writer, () => going));
  const notes: string[] = [];
  const onProgress = ({ note }: MoveProgress): void => {
    if (note !== undefined) notes.push(note);
  };
  for (let n = 0; n < HAND_OVERS; n += 1) {
    const to = n % 2 === 0 ? 'b' : 'a';
    await moveShards(
      setting,
      { shards: [2], to },
      { acceptStaleReads: true, wayBack: false, verify: false, onProgress },
    );
  }
  going = false;
  const transactions = (await Promise.all(across)).reduce((sum, n) => sum + n, 0);
  const report = await puts.stop();
  // A busy machine may make a try too late; a ring of waiters would end every one of them.
  expect(notes.filter((note) => /lock timeout/.test(note)).length).toBeLessThanOrEqual(HAND_OVERS);
  for (const { query } of [a, b]) {
    const { rows } = await query('select deadlocks::int from pg_stat_database where datname = current_database()');
    expect(rows).toEqual([{ deadlocks: 0 }]);
  }
  expect(report.failures).toEqual([]);
  expect(await lostOf(a, 'shard0002', report)).toEqual([]);
  for (const table of Array.from({ length: TABLES }, (_, n) => `shard0002.t${n}`)) {
    const { rows } = await a.query(`select count(*)::int as n from ${table}`);
    expect([table, rows[0].n]).toEqual([table, transactions]);
  }
  expect((await b.query(`select to_regnamespace('shard0002') is null as gone`)).rows[0].gone).toBe(true);
  expect(await cluster.leftovers()).toEqual([]);
});

test('a transaction that sees the shard as it was before the hand-over is refused when it writes after it', async () => {
  const { a, b, setting } = await movableCluster();
  const levels = ['read committed', 'repeatable read', 'serializable'];
  const sessions = await Promise.all(
    levels.map(async () => {
      const client = new pg.Client(a.connection);
      await client.connect();
      onTestFinished(() => client.end());
      return client;
    }),
  );
  const onStep = async (step: MoveStep, phase: StepPhase): Promise<void> => {
    if (step !== 'gate' || phase !== 'acted') return;
    for (const [n, client] of sessions.entries()) {
      await client.query(`begin isolation level ${levels[n]}; select from shard0002.entities`);
    }
  };
  await moveShards(setting, { shards: [2], to: 'b' }, { acceptStaleReads: true, onStep });
  const insert = `insert into shard0002.entities (id, type, body) values (1, 1, '')`;
  const refused = await Promise.all(sessions.map(async (client) => (await rejection(client.query(insert))).code));
  expect(refused).toEqual(['SV004', '40001', '40001']);
  expect((await b.query('select from shard0002.entities')).rowCount).toBe(0);
});
