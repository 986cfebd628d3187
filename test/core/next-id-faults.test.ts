// The generator through cancels, kills and long transactions, and with the least rights.
import pg from 'pg';
import { expect, test } from 'vitest';
import { install } from '../../src/core/index.ts';
import { ADVISORY_LOCK_CLASS } from '../../src/internal/advisory-locks.ts';
import { SQLSTATE } from '../../src/internal/sqlstate.ts';
import type { TestDatabase } from '../support/database.ts';
import { ownServers } from '../support/own-server.ts';
import { rejection, waitFor } from '../support/wait-for.ts';
import { duplicates, generatorDatabase, NEXT_ID, SEQUENCE, stallBeforeStore } from './generator.ts';

async function locks(db: TestDatabase): Promise<number> {
  const { rows } = await db.query(
    `select count(*)::integer as locks from pg_locks
     where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database()) and classid = ${ADVISORY_LOCK_CLASS.nextId}`,
  );
  return rows[0].locks;
}

/** Waits until some sessions hold or wait for the lock of the slow path. */
function untilLocked(db: TestDatabase, count: number): Promise<number> {
  return waitFor(async () => ((await locks(db)) >= count ? count : undefined), { what: `${count} locks` });
}

test('a statement cancelled in the slow path, holding the lock or waiting for it, leaves no lock', async () => {
  const db = await generatorDatabase();
  await stallBeforeStore(
    db,
    `if current_setting('test.stall', true) = 'on' then perform pg_catalog.pg_sleep(60); end if;`,
  );
  const [holder, waiter] = [await db.client(), await db.client()];
  await holder!.query("set test.stall to 'on'");
  const pids = [holder, waiter].map((client) => (client as unknown as { processID: number }).processID);
  for (const victims of [[0], [1], [1, 0]]) {
    await db.query(`select setval(${SEQUENCE}, 1)`);
    const held = rejection(holder!.query(`select ${NEXT_ID}`));
    await untilLocked(db, 1);
    const waited = waiter!.query(`select ${NEXT_ID}`).then(
      () => undefined,
      (error: { code: string }) => error.code,
    );
    await untilLocked(db, 2);
    for (const victim of victims) await db.query('select pg_cancel_backend($1)', [pids[victim]]);
    expect(await waited).toBe(victims.includes(1) ? SQLSTATE.queryCanceled : undefined);
    if (!victims.includes(0)) await db.query('select pg_cancel_backend($1)', [pids[0]]);
    expect((await held).code).toBe(SQLSTATE.queryCanceled);
    expect(await locks(db)).toBe(0);
  }
  await db.query(`select setval(${SEQUENCE}, 1)`);
  await waiter!.query(`select ${NEXT_ID}`);
});

test('a statement timeout and a terminated session leave no lock either', async () => {
  const db = await generatorDatabase();
  await stallBeforeStore(
    db,
    `if current_setting('test.stall', true) = 'on' then perform pg_catalog.pg_sleep(60); end if;`,
  );
  const [timed, killed] = [await db.client(), await db.client()];
  await timed!.query("set test.stall to 'on'; set statement_timeout to 50");
  expect((await rejection(timed!.query(`select ${NEXT_ID}`))).code).toBe(SQLSTATE.queryCanceled);
  expect(await locks(db)).toBe(0);
  await killed!.query("set test.stall to 'on'");
  const dead = rejection(killed!.query(`select ${NEXT_ID}`));
  await untilLocked(db, 1);
  await db.query('select pg_terminate_backend($1)', [(killed as unknown as { processID: number }).processID]);
  await dead;
  await waitFor(async () => (await locks(db)) === 0);
  await db.query(`select ${NEXT_ID}`);
});

test('a chunk that is cancelled gives its lock back', async () => {
  const db = await generatorDatabase();
  const client = await db.client();
  await client.query('set statement_timeout to 100');
  expect((await rejection(client.query('select count(*) from shard0005.next_ids(1000000)'))).code).toBe(
    SQLSTATE.queryCanceled,
  );
  expect(await locks(db)).toBe(0);
});

test('a long transaction keeps no lock of the generator', async () => {
  const db = await generatorDatabase();
  const [long, other] = [await db.client(), await db.client()];
  await long!.query('begin');
  await db.query(`select setval(${SEQUENCE}, 1)`);
  await long!.query(`select ${NEXT_ID}`);
  await long!.query('select * from shard0005.next_ids(2000)');
  expect(await locks(db)).toBe(0);
  await db.query(`select setval(${SEQUENCE}, 1)`);
  await other!.query(`select ${NEXT_ID}`);
  await long!.query('rollback');
});

test('a sequence does not roll back: ids of a failed transaction are not given again', async () => {
  const db = await generatorDatabase();
  const client = await db.client();
  await client.query('begin');
  const lost = BigInt((await client.query(`select ${NEXT_ID} as id`)).rows[0].id);
  await client.query('rollback');
  expect(BigInt((await client.query(`select ${NEXT_ID} as id`)).rows[0].id)).toBeGreaterThan(lost);
});

test('ids drawn before a SIGKILL of the server are not drawn again after it', { timeout: 60_000 }, async () => {
  const embedded = await ownServers();
  const [server] = embedded.servers;
  await install([{ ...server!.connection, shards: '5-6' }]);
  const ids: bigint[] = [];
  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client(server!.connection);
    client.on('error', () => {});
    await client.connect();
    return client;
  };
  const draw = async (client: pg.Client): Promise<void> => {
    const { rows } = await client.query(
      `select ${NEXT_ID} as id from generate_series(1, 50) union all select * from shard0005.next_ids(1000)`,
    );
    ids.push(...rows.map(({ id }) => BigInt(id)));
  };
  for (let round = 0; round < 3; round++) {
    const clients = await Promise.all([connect(), connect(), connect(), connect()]);
    // Ahead of the clock at the first kill, so that the clock can't save what the sequence forgets.
    if (round === 0) await clients[0]!.query(`select setval(${SEQUENCE}, (hypervault.clock_ms() + 3900) << 10)`);
    const killed = waitFor(() => ids.length > (round + 1) * 5_000, { everyMs: 1 }).then(() => server!.kill());
    await Promise.all(
      clients.map(async (client) => {
        try {
          for (;;) await draw(client);
        } catch {
          await client.end().catch(() => {});
        }
      }),
    );
    await killed;
    await server!.start();
  }

  const client = await connect();
  await draw(client);
  await client.end();
  expect(duplicates(ids)).toBe(0);
  expect(ids.length).toBeGreaterThan(15_000);
});

test('ids reserved are on disk before the caller has them, whoever logged the sequence last', async () => {
  const db = await generatorDatabase();
  const [lazy, careful] = [await db.client(), await db.client()];
  await lazy!.query('set synchronous_commit to off');
  await careful!.query('set synchronous_commit to on');
  for (let turn = 0; turn < 20; turn++) {
    // Logs the sequence 32 values ahead, and does not wait for the disk.
    const logged = await lazy!.query(
      `select max(${NEXT_ID}), pg_current_wal_insert_lsn() as at from generate_series(1, 33)`,
    );
    await careful!.query('select * from shard0005.next_ids(1)');
    const { rows } = await careful!.query('select pg_current_wal_flush_lsn() >= $1 as flushed', [logged.rows[0].at]);
    expect(rows[0].flushed).toBe(true);
  }
});

test('a role with USAGE on the sequence draws ids, and cannot set it', async () => {
  const db = await generatorDatabase();
  const role = `drawer_${process.pid}`;
  await db.query(`create role ${role} login password 'drawer'`);
  try {
    await db.query(`grant usage on schema hypervault, shard0005 to ${role};
                    grant usage on sequence shard0005.table_id_seq to ${role}`);
    const client = new pg.Client({ ...db.connection, user: role, password: 'drawer' });
    await client.connect();
    await db.query(`select setval(${SEQUENCE}, 1)`);
    await client.query(`select ${NEXT_ID}`);
    expect((await client.query('select * from shard0005.next_ids(1000)')).rows).toHaveLength(1000);
    for (const refused of ['select last_value from shard0005.table_id_seq', `select setval(${SEQUENCE}, 1)`]) {
      expect((await rejection(client.query(refused))).code).toBe(SQLSTATE.insufficientPrivilege);
    }
    await client.end();
  } finally {
    await db.query(`drop owned by ${role}; drop role ${role}`);
  }
});
