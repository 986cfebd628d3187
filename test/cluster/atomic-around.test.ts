// Atomic writes where servers are reached or kept otherwise: through a pooler, on the oldest Postgres, over a failover.
import { existsSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { type AtomicOptions, atomicJanitor, atomicWrites, fsck, moveShards } from '../../src/cluster/index.ts';
import { type ConnectionEntry, Datastore, type DatastoreOptions, install } from '../../src/core/index.ts';
import { leaveWrite } from '../support/left-write.ts';
import { databaseOf, movableCluster } from '../support/movable-cluster.ts';
import { ownServers } from '../support/own-server.ts';
import { type Pgbouncer, startPgbouncer } from '../support/pgbouncer.ts';
import { serverPair } from '../support/server-pair.ts';
import { findTool } from '../support/tools.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

const ROOM = { fsync: false, max_prepared_transactions: 20 };
/** The oldest Postgres that moves know; Debian's package. */
const POSTGRES_15 = '/usr/lib/postgresql/15/bin';

const ADD = `insert into entities (type, body) values (1, '')`;

function datastore(connections: readonly ConnectionEntry[], options: DatastoreOptions = {}): Datastore {
  const db = new Datastore(connections, options);
  onTestFinished(() => db.disconnect({ deadlineMs: 1_000 }));
  return db;
}

async function writer(db: Datastore, options: AtomicOptions = {}) {
  const atomic = await atomicWrites(db, { recoverEveryMs: 0, ...options });
  onTestFinished(() => atomic.close());
  const write = (shards: readonly number[]): Promise<void> =>
    atomic.write(shards, async (cursors) => {
      for (const cursor of cursors) await cursor.query(ADD);
    });
  return { atomic, write };
}

const counts = (db: Datastore, shards: readonly number[]): Promise<number[]> =>
  Promise.all(
    shards.map((shardId) =>
      db.withCursor(shardId, async (cursor) => {
        const { rows } = await cursor.query<{ n: number }>('select count(*)::integer as n from entities');
        return rows[0]!.n;
      }),
    ),
  );

async function expectNothingLeft(db: Datastore, shards: readonly number[]): Promise<void> {
  for (const shardId of shards) {
    const { rows } = await db.withCursor(shardId, (cursor) =>
      cursor.query(`select (select count(*)::integer from pg_prepared_xacts where database = current_database()) as parts,
        (select count(*)::integer from hv_decision) as decisions`),
    );
    expect([shardId, rows[0]]).toEqual([shardId, { parts: 0, decisions: 0 }]);
  }
}

test.skipIf(findTool('pgbouncer') === undefined)(
  'through PgBouncer in transaction mode: written, recovered by other sessions, undone when the pooler is killed',
  { timeout: 90_000 },
  async () => {
    const { servers } = await ownServers({ servers: 2, settings: ROOM });
    const direct = servers.map(({ connection }, n) => ({
      ...connection,
      name: 'ab'[n]!,
      shards: n === 0 ? '1-3' : '30-31',
    }));
    await install(direct, { modules: ['core', 'cluster'] });
    const settings = { default_pool_size: 20, server_login_retry: 1 };
    const poolers = (await Promise.all(
      direct.map((connection) => startPgbouncer(connection, { settings })),
    )) as Pgbouncer[];
    const db = datastore(
      direct.map((entry, n) => ({ ...entry, host: '127.0.0.1', port: poolers[n]!.port })),
      { poolBlockTimeoutMs: 1_000 },
    );
    const { atomic, write } = await writer(db);
    await Promise.all(Array.from({ length: 8 }, (_, n) => write(n % 2 === 0 ? [1, 2, 30] : [30, 1, 2])));
    expect(await counts(db, [1, 2, 30])).toEqual([8, 8, 8]);
    await expectNothingLeft(db, [1, 2, 30]);

    await leaveWrite(db, [1, 2, 30], 'decided');
    expect((await atomic.recover({ afterMs: 0 })).map(({ outcome }) => outcome)).toEqual(['committed', 'committed']);
    expect(await counts(db, [1, 2, 30])).toEqual([9, 9, 9]);
    // The coordinator's pooler dies between the last look and COMMIT: its server rolls back.
    const lost = await writer(db, {
      retryForMs: 0,
      onStep: async (step) => {
        if (step === 'deciding') await poolers[0]!.kill();
      },
    });
    expect(await rejection(lost.write([1, 30]))).toMatchObject({ code: /ATOMIC_WRITE_UNDONE|OUTCOME_UNKNOWN/ });
    await poolers[0]!.start();
    await waitFor(
      async () => {
        await atomic.recover({ afterMs: 0 });
        const { rows } = await databaseOf(direct[1]!).query('select from pg_prepared_xacts');
        return rows.length === 0;
      },
      { what: 'recovery through the pooler' },
    );
    expect(await counts(db, [1, 2, 30])).toEqual([9, 9, 9]);
    expect(await atomicJanitor(db, { remove: true, recoverAfterMs: 0, sweepAfterMs: 0 })).toEqual([]);
    await expectNothingLeft(db, [1, 2, 30]);
  },
);

test('on Postgres 15: written, recovered, undone, and a shard moves between', { timeout: 90_000 }, async ({ skip }) => {
  if (!existsSync(POSTGRES_15)) {
    console.warn(`SKIPPED: there is no ${POSTGRES_15}; run: npm run test:setup (Debian package postgresql-15)`);
    return skip();
  }
  const { servers } = await ownServers({ servers: 2, binaryDirectory: POSTGRES_15, settings: ROOM });
  const [a, b] = [databaseOf(servers[0]!.connection), databaseOf(servers[1]!.connection)];
  await a.query('create database control');
  const cluster = await movableCluster({ databases: [a, b, databaseOf({ ...a.connection, database: 'control' })] });
  const db = await cluster.datastore();
  const { atomic, write } = await writer(db);
  await write([1, 2, 3]);
  const mine = new Error('no');
  expect(
    await rejection(
      atomic.write([1, 3], async ([one, three]) => {
        await one.query(ADD);
        await three.query(ADD);
        throw mine;
      }),
    ),
  ).toBe(mine);
  await leaveWrite(db, [3, 1, 2], 'decided');
  expect(await atomicJanitor(db, { remove: true, recoverAfterMs: 0 })).toMatchObject([
    { kind: 'part', removed: true, how: 'committed' },
    { kind: 'part', removed: true, how: 'committed' },
  ]);
  await moveShards(cluster.setting, { shards: [2], to: 'b' }, { acceptStaleReads: true, wayBack: false });
  await write([2, 1]);
  expect(await counts(db, [1, 2, 3])).toEqual([3, 3, 2]);
  await expectNothingLeft(db, [1, 2, 3]);
});

/** Shards 1 and 2 on a server, 30 and 31 on a primary with its standby. */
async function besideAPair() {
  const pair = await serverPair({ settings: ROOM });
  const [other] = (await ownServers({ servers: 1, settings: ROOM })).servers;
  const connections = [
    { ...other!.connection, name: 'a', shards: '1-3' },
    { hosts: pair.hosts, ...pair.login, name: 'b', shards: '30-32' },
  ];
  await install(connections, { modules: ['core', 'cluster'] });
  return { pair, other, connections };
}

test('a part that its standby has got outlives a failover, and is ended as its decision says', {
  timeout: 90_000,
}, async () => {
  const { pair, connections } = await besideAPair();
  const db = datastore(connections, { poolBlockTimeoutMs: 2_000 });
  const { atomic, write } = await writer(db, {
    retryForMs: 0,
    onStep: async (step) => {
      if (step !== 'decided') return;
      await pair.caughtUp();
      await pair.primary.kill();
      await pair.promote();
    },
  });
  // Decided and not rolled back, whichever server has the part now.
  await write([1, 30]);
  await waitFor(
    async () => {
      await atomic.recover({ afterMs: 0 });
      return (await pair.query('select from pg_prepared_xacts')).length === 0;
    },
    { what: 'recovery on the server that was promoted', timeoutMs: 20_000 },
  );
  expect(await counts(db, [1, 30])).toEqual([1, 1]);
  await atomic.sweep({ afterMs: 0 });
  await expectNothingLeft(db, [1, 30]);

  // Never decided: its writer is killed between PREPARE and the decision, and the standby has the part.
  await pair.standby.follow(pair.primary);
  await leaveWrite(db, [31, 2], 'begun');
  const gone = await writer(db, {
    retryForMs: 0,
    onStep: async (step, shardId) => {
      if (step !== 'prepared' || shardId !== 30) return;
      await pair.caughtUp();
      await pair.primary.kill();
      await pair.promote();
      throw new Error('gone');
    },
  });
  expect((await rejection(gone.write([1, 30]))).message).toBe('gone');
  await waitFor(
    async () => {
      await atomic.recover({ afterMs: 0 });
      return (await pair.query('select from pg_prepared_xacts')).length === 0;
    },
    { what: 'recovery on the server that was promoted', timeoutMs: 20_000 },
  );
  expect(await counts(db, [1, 2, 30, 31])).toEqual([1, 0, 1, 0]);
  await expectNothingLeft(db, [1, 2, 30, 31]);
});

test('a part that its standby had not got is lost in a failover: told to the writer, and kept in mind', {
  timeout: 90_000,
}, async () => {
  const { pair, other, connections } = await besideAPair();
  const db = datastore(connections);
  await databaseOf(other!.connection).query(`select hypervault.claim('shard0001', 'a', 1)`);
  await pair.caughtUp();
  // From here on the standby gets nothing.
  const standby = databaseOf(pair.standby.connection);
  await standby.query(`alter system set primary_conninfo to ''`);
  await standby.query('select pg_reload_conf()');
  await waitFor(async () => (await pair.query('select from pg_stat_replication')).length === 0, {
    what: 'the standby to be alone',
  });
  const { atomic, write } = await writer(db, {
    onStep: async (step) => {
      if (step !== 'decided') return;
      await pair.primary.kill();
      await pair.promote();
    },
  });
  const lost = await rejection(write([1, 30, 2]));
  expect(lost).toMatchObject({ code: 'ATOMIC_PART_LOST', retryable: false, coordinator: 1, shards: [30] });
  expect(await counts(db, [1, 2, 30])).toEqual([1, 1, 0]);
  // The decision stays until somebody has mended it, and says which shard lacks what.
  expect(await atomic.recover({ afterMs: 0 })).toEqual([]);
  expect(await atomic.sweep({ afterMs: 0 })).toBe(0);
  for (const remove of [false, true]) {
    expect(await atomicJanitor(db, { sweepAfterMs: 0, remove })).toMatchObject([
      {
        kind: 'decisions',
        server: 'a',
        removed: false,
        failed: true,
        kept: /lost its part on shard 30: .*delete from shard0001/,
      },
    ]);
  }
  const named = { a: connections[0]!, b: connections[1]! };
  const document = { epoch: 1n, servers: { a: '1-3', b: '30-32' } };
  const parts = async () =>
    (await fsck(document, named, { partsAfterMs: 0 })).problems.filter(({ kind }) => kind.startsWith('part'));
  expect(await parts()).toMatchObject([
    { kind: 'part-lost', shardId: 30, server: 'b', message: /b was promoted while .*part on shard 30/ },
  ]);
  await db.withCursor(1, (cursor) => cursor.query('delete from hv_decision'));
  expect(await parts()).toEqual([]);
  expect(await atomicJanitor(db, { sweepAfterMs: 0 })).toEqual([]);
});
