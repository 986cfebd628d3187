// Atomic writes over several shards: by two-phase commit, on servers of the file's own, since others may not prepare.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import {
  type AtomicOptions,
  type AtomicStep,
  type AtomicWrites,
  atomicWrites,
  finishMoves,
  type MoveOptions,
  moveShards,
  revertMoves,
} from '../../src/cluster/index.ts';
import {
  type ConnectionEntry,
  Datastore,
  type DatastoreOptions,
  install,
  type ShardMap,
} from '../../src/core/index.ts';
import type { Embedded } from '../../src/embedded/index.ts';
import { databaseOf, movableCluster, type ShardDatabase } from '../support/movable-cluster.ts';
import { ownServers } from '../support/own-server.ts';
import { startProxy } from '../support/proxy.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

const ROOM = { fsync: false, max_prepared_transactions: 40, max_connections: 150 };
let servers: Embedded;
let [a, b, control]: ShardDatabase[] = [];
let databases = 0;
let connections: ConnectionEntry[];

beforeAll(async () => {
  servers = await ownServers({ servers: 2, settings: ROOM, keep: true });
});

afterAll(() => servers.stop());

/** Fresh databases on the two servers. */
beforeEach(async () => {
  databases += 1;
  const made = await Promise.all(
    servers.servers.map(async ({ connection }) => {
      await databaseOf(connection).query(`create database atomic${databases}`);
      return databaseOf({ ...connection, database: `atomic${databases}` });
    }),
  );
  [a, b] = made;
  await a!.query(`create database control${databases}`);
  control = databaseOf({ ...a!.connection, database: `control${databases}` });
});

/** Shards 1 and 2, or more, on `a`; 30, or more, on `b`. */
async function setting({
  shards = ['1-3', '30-31'],
  pool = {},
  ...options
}: AtomicOptions & { shards?: readonly [string, string]; pool?: DatastoreOptions } = {}): Promise<{
  db: Datastore;
  atomic: AtomicWrites;
}> {
  connections = [
    { ...a!.connection, name: 'a', shards: shards[0] },
    { ...b!.connection, name: 'b', shards: shards[1] },
  ];
  await install(connections, { modules: ['core', 'cluster'] });
  const db = new Datastore(connections, { poolMax: 20, ...pool });
  onTestFinished(() => db.disconnect({ deadlineMs: 1_000 }));
  const atomic = await atomicWrites(db, { recoverEveryMs: 0, ...options });
  onTestFinished(() => atomic.close());
  return { db, atomic };
}

const add = (n: number): string => `insert into entities (type, body) values (1, hstore('n', '${n}'))`;

async function count(db: Datastore, shardId: number): Promise<number> {
  return db.withCursor(shardId, async (cursor) => {
    const { rows } = await cursor.query<{ n: number }>('select count(*)::integer as n from entities');
    return rows[0]!.n;
  });
}

async function preparedThere(): Promise<number> {
  const counts = await Promise.all(
    [a!, b!].map(({ query }) =>
      query('select count(*)::integer as n from pg_prepared_xacts where database = current_database()'),
    ),
  );
  return counts.reduce((sum, { rows }) => sum + rows[0].n, 0);
}

async function decisions(db: Datastore, shards: readonly number[] = db.map.shards): Promise<number> {
  const combine = { n: 'sum' } as const;
  const { rows } = await db.across<{ n: bigint }>('select count(*) as n from hv_decision', [], { shards, combine });
  return Number(rows[0]!.n);
}

/** Nothing prepared, no decision, no lock. */
async function expectNothingLeft(db: Datastore): Promise<void> {
  expect([await preparedThere(), await decisions(db)]).toEqual([0, 0]);
}

test('what is written to several shards is there on all, or on none', async () => {
  const { db, atomic } = await setting();
  expect(
    await atomic.write([1, 2, 30], async (cursors) => {
      for (const [n, cursor] of cursors.entries()) await cursor.query(add(n));
      return cursors.map(({ shardId }) => shardId);
    }),
  ).toEqual([1, 2, 30]);
  expect([await count(db, 1), await count(db, 2), await count(db, 30)]).toEqual([1, 1, 1]);

  const mine = new Error('no');
  expect(
    await rejection(
      atomic.write([1, 30, 2], async (cursors) => {
        for (const cursor of cursors) await cursor.query(add(9));
        throw mine;
      }),
    ),
  ).toBe(mine);
  // A statement that fails and is caught: the server refuses to prepare, or to commit.
  for (const bad of [0, 1, 2]) {
    const failure = await rejection(
      atomic.write([1, 30, 2], async (cursors) => {
        for (const cursor of cursors) await cursor.query(add(9));
        await cursors[bad]!.query('select 1 / 0').catch(() => {});
      }),
    );
    expect(failure.message).toMatch(/rolled back|aborted/);
  }
  // One that only COMMIT finds.
  await db.withCursor(2, (cursor) =>
    cursor.query('create table once (id int, constraint one unique (id) deferrable initially deferred)'),
  );
  for (const order of [
    [2, 30],
    [30, 2],
  ]) {
    const failure = await rejection(
      atomic.write(order, async (cursors) => {
        for (const cursor of cursors) {
          await cursor.query(cursor.shardId === 2 ? 'insert into once values (1), (1)' : add(9));
        }
      }),
    );
    expect(failure).toMatchObject({ code: '23505' });
  }
  expect([await count(db, 1), await count(db, 2), await count(db, 30)]).toEqual([1, 1, 1]);
  await expectNothingLeft(db);
});

test('a decision is flushed although the servers are told not to', async () => {
  const { db, atomic } = await setting();
  await a!.query(`alter database ${a!.connection.database} set synchronous_commit to off`);
  const fresh = new Datastore(connections);
  onTestFinished(() => fresh.disconnect({ deadlineMs: 1_000 }));
  const writer = await atomicWrites(fresh, { recoverEveryMs: 0 });
  const shown = await writer.write([1, 30], async ([one]) => [
    (await one!.query('show synchronous_commit')).rows[0],
    (await one!.query('show idle_in_transaction_session_timeout')).rows[0],
  ]);
  expect(shown).toEqual([{ synchronous_commit: 'local' }, { idle_in_transaction_session_timeout: '10s' }]);
  expect(await fresh.withCursor(1, async (cursor) => (await cursor.query('show synchronous_commit')).rows)).toEqual([
    { synchronous_commit: 'off' },
  ]);
  await writer.close();
  await atomic.close();
  await expectNothingLeft(db);
});

test('a role with the least rights makes them and recovers its own; those of another it tells and leaves', async () => {
  const { db } = await setting();
  const app = `app_${a!.connection.database}`;
  for (const { query } of [a!, b!]) await query(`create role ${app} login password 'app'`);
  await install(connections, { modules: ['core', 'cluster'], grantTo: [app] });
  const low = new Datastore(connections.map((entry) => ({ ...entry, user: app, password: 'app' })));
  onTestFinished(() => low.disconnect({ deadlineMs: 1_000 }));
  const writer = await atomicWrites(low, { recoverEveryMs: 0 });
  await writer.write([1, 30], async ([one, two]) => [await one!.query(add(1)), await two!.query(add(1))]);
  await abandoned(low, [1, 30], 'decided');
  expect(await writer.recover({ afterMs: 0 })).toMatchObject([{ shardId: 30, outcome: 'committed' }]);
  await abandoned(db, [1, 30], 'decided');
  expect(await writer.recover({ afterMs: 0 })).toMatchObject([
    { shardId: 30, outcome: 'failed', error: { code: '42501' } },
  ]);
  const superuser = await atomicWrites(db, { recoverEveryMs: 0, recoverAfterMs: 0 });
  expect([await count(db, 1), await count(db, 30)]).toEqual([3, 3]);
  await expectNothingLeft(db);
  await Promise.all([writer.close(), superuser.close()]);
});

test('wrong use is refused before anything is sent, and a callback that ends a transaction is undone', async () => {
  const { db, atomic } = await setting();
  const never = (): Promise<never> => Promise.reject(new Error('ran'));
  expect(await rejection(atomic.write([1], never))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect((await rejection(atomic.write([1, 2, 1], never))).message).toMatch(/each shard once, not 1, 2, 1/);
  expect(await rejection(atomic.write([1, 99], never))).toMatchObject({ name: 'UnknownShardError' });
  expect(await rejection(atomicWrites(db, { lockTimeoutMs: 0 }))).toMatchObject({ code: 'CONFIGURATION' });
  expect(await rejection(atomicWrites(db, { lockTimeout: 1 } as AtomicOptions))).toMatchObject({
    code: 'CONFIGURATION',
  });
  for (const ends of [0, 1]) {
    const failure = await rejection(
      atomic.write([1, 30], async (cursors) => {
        await cursors[1 - ends]!.query(add(1));
        await cursors[ends]!.query('rollback');
      }),
    );
    expect(failure.message).toMatch(/end its transactions itself|rolled back/);
  }
  expect([await count(db, 1), await count(db, 30)]).toEqual([0, 0]);
  await expectNothingLeft(db);
});

test('a server that may not prepare is named, with what to do', async () => {
  const [plain] = (await ownServers({ servers: 1, settings: { ...ROOM, max_prepared_transactions: 0 } })).servers;
  const entry = { ...plain!.connection, name: 'plain', shards: '1-3' };
  await install([entry], { modules: ['core'] });
  const db = new Datastore([entry]);
  onTestFinished(() => db.disconnect({ deadlineMs: 1_000 }));
  expect(await rejection(atomicWrites(db))).toMatchObject({ code: 'SCHEMA', message: /plain: .* run hypervault init/ });
  await install([entry], { modules: ['core', 'cluster'] });
  expect(await rejection(atomicWrites(db))).toMatchObject({
    code: 'CONFIGURATION',
    message: expect.stringMatching(/plain has max_prepared_transactions = 0.*set it to at least/),
  });
});

/** Where a writer is killed, and whether its write is done then. */
const STOPS: readonly [AtomicStep, 'coordinator' | 'first' | 'last', boolean][] = [
  ['begun', 'coordinator', false],
  ['worked', 'coordinator', false],
  // The last one is prepared first.
  ['prepared', 'last', false],
  ['prepared', 'first', false],
  ['deciding', 'coordinator', false],
  ['decided', 'coordinator', true],
  ['committed', 'first', true],
  ['committed', 'last', true],
  ['finished', 'coordinator', true],
];

test('a writer killed with SIGKILL at any step leaves all of its write or none of it, and recovery leaves nothing behind', {
  timeout: 60_000,
}, async () => {
  const { db, atomic } = await setting({ shards: ['1-19', '30-39'] });
  await db.fanOut(db.map.shards, (cursor) => cursor.query(add(1)));
  // Each on shards of its own, the coordinators in turns on the one server and on the other.
  const stops = STOPS.map(([step, who], n) => {
    const here = [2 * n + 1, 2 * n + 2, 30 + n] as const;
    const shards = n % 2 === 0 ? [here[0], here[1], here[2]] : [here[2], here[0], here[1]];
    const at = { coordinator: shards[0], first: shards[1], last: shards[2] }[who];
    return [step, at, shards] as [AtomicStep, number, number[]];
  });
  await killedWriter(stops);

  // The servers notice by themselves that the writer is gone.
  await waitFor(
    async () => {
      const parts = await atomic.recover({ afterMs: 0 });
      expect(parts.filter(({ outcome }) => outcome === 'failed')).toEqual([]);
      return (await preparedThere()) === 0;
    },
    { what: 'recovery' },
  );
  for (const [n, [step, , shards]] of stops.entries()) {
    const done = await Promise.all(
      shards.map((shardId) =>
        db.withCursor(shardId, async (cursor) => {
          const { rows } = await cursor.query<{ n: number }>(
            `select count(*)::integer as n from entities where body -> 'done' = 'yes'`,
          );
          return rows[0]!.n;
        }),
      ),
    );
    expect([step, done]).toEqual([step, STOPS[n]![2] ? [1, 1, 1] : [0, 0, 0]]);
  }
  // Those that were killed after their last part had ended leave a row that says so, for sweep().
  expect(await decisions(db)).toBeLessThanOrEqual(3);
  await atomic.sweep({ afterMs: 0 });
  await expectNothingLeft(db);
});

async function killedWriter(stops: readonly [AtomicStep, number, number[]][]): Promise<void> {
  const order = JSON.stringify({ connections, stops });
  const program = join(import.meta.dirname, 'atomic-writer-process.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', program, order], { stdio: ['ignore', 'pipe', 'inherit'] });
  const over = new Promise((resolve) => child.once('exit', resolve));
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await over;
  });
  let standing = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.startsWith('stopped')) throw new Error(line);
    standing += 1;
    if (standing === stops.length) break;
  }
  child.kill('SIGKILL');
  await over;
}

test('recovery leaves a living writer alone, and does what it would where it has decided', async () => {
  const { db, atomic } = await setting();
  const outcomes: string[][] = [];
  const other = await atomicWrites(db, {
    recoverEveryMs: 0,
    onStep: async (step) => {
      if (step !== 'deciding' && step !== 'decided') return;
      outcomes.push((await atomic.recover({ afterMs: 0 })).map(({ outcome }) => outcome));
    },
  });
  await other.write([1, 2, 30], async (cursors) => {
    for (const cursor of cursors) await cursor.query(add(1));
  });
  expect(outcomes).toEqual([
    ['open', 'open'],
    ['committed', 'committed'],
  ]);
  expect([await count(db, 1), await count(db, 2), await count(db, 30)]).toEqual([1, 1, 1]);
  await expectNothingLeft(db);
  await other.close();
});

test('a coordinator lost while it decides: asked, and done or undone alike everywhere', async () => {
  const { db, atomic } = await setting();
  const lost = await atomicWrites(db, {
    recoverEveryMs: 0,
    retryForMs: 0,
    onStep: async (step) => {
      if (step !== 'deciding') return;
      // The session goes between the last look and COMMIT.
      await a!.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and state = 'idle in transaction' and pid <> pg_backend_pid()`,
      );
    },
  });
  const failure = await rejection(
    lost.write([1, 30], async ([one, two]) => [await one!.query(add(1)), await two!.query(add(1))]),
  );
  expect(failure).toMatchObject({ code: 'ATOMIC_WRITE_UNDONE', retryable: true });
  await atomic.recover({ afterMs: 0 });
  expect([await count(db, 1), await count(db, 30)]).toEqual([0, 0]);
  await expectNothingLeft(db);
  await lost.close();
});

test.each([
  ['soon', 0.25],
  ['late', 2],
])(
  'a COMMIT that goes on although its writer is cut off, and ends %s: done everywhere all the same',
  async (when, seconds) => {
    const { db, atomic } = await setting();
    const proxy = await startProxy({ port: a!.connection.port });
    const far = new Datastore([{ ...connections[0]!, port: proxy.port }, connections[1]!]);
    onTestFinished(() => far.disconnect({ deadlineMs: 1_000 }));
    await db.withCursor(1, (cursor) =>
      cursor.query(`
      create table slow (id int);
      create function slowly() returns trigger language plpgsql as 'begin perform pg_sleep(${seconds}); return null; end';
      create constraint trigger slowly after insert on slow deferrable initially deferred
      for each row execute function slowly()`),
    );
    const committing = async (): Promise<boolean> =>
      (
        await a!.query(
          `select from pg_stat_activity where datname = current_database() and query = 'commit' and state = 'active'`,
        )
      ).rows.length > 0;
    let cut: Promise<void> | undefined;
    const writer = await atomicWrites(far, {
      recoverEveryMs: 0,
      onStep: (step) => {
        if (step === 'deciding') cut = waitFor(committing, { what: 'COMMIT' }).then(() => proxy.cut());
      },
    });
    const write = writer.write([1, 30], async ([one, two]) => {
      await one!.query('insert into slow values (1)');
      await two!.query(add(1));
      return 'kept';
    });
    if (when === 'soon') expect(await write).toBe('kept');
    else {
      expect(await rejection(write)).toMatchObject({ code: 'OUTCOME_UNKNOWN' });
      await waitFor(
        async () =>
          (await atomic.recover({ afterMs: 0 })).every(({ outcome }) => outcome === 'committed') &&
          !(await committing()),
        { what: 'recovery' },
      );
    }
    await cut;
    await waitFor(async () => (await preparedThere()) === 0, { what: 'the part to end' });
    const { rows } = await db.withCursor(1, (cursor) => cursor.query('select count(*)::integer as n from slow'));
    expect([rows[0]!.n, await count(db, 30)]).toEqual([1, 1]);
    await expectNothingLeft(db);
    await writer.close();
  },
);

test('a decision stays as long as a part of it is prepared', async () => {
  const { db, atomic } = await setting();
  await abandoned(db, [1, 2, 30], 'decided');
  expect([await atomic.sweep({ afterMs: 0 }), await decisions(db), await preparedThere()]).toEqual([0, 1, 2]);
  // One part is ended by somebody who dies before the other one's turn.
  const [gid] = (await a!.query('select gid from pg_prepared_xacts where database = current_database()')).rows;
  await a!.query(`commit prepared '${gid.gid}'`);
  expect([await atomic.sweep({ afterMs: 0 }), await decisions(db)]).toEqual([0, 1]);
  expect(await atomic.recover({ afterMs: 0 })).toMatchObject([{ shardId: 30, outcome: 'committed' }]);
  expect([await count(db, 1), await count(db, 2), await count(db, 30)]).toEqual([1, 1, 1]);
  await expectNothingLeft(db);
});

test('a server killed with what it has prepared: decided, the call is done, and the part is there when the server is', async () => {
  const { db, atomic } = await setting({ pool: { poolBlockTimeoutMs: 1_000 } });
  const [, second] = servers.servers;
  onTestFinished(() => second!.start());
  const killer = await atomicWrites(db, {
    recoverEveryMs: 0,
    retryForMs: 0,
    onStep: async (step) => {
      if (step === 'decided') await second!.kill();
    },
  });
  await killer.write([1, 30], async ([one, two]) => [await one!.query(add(1)), await two!.query(add(1))]);
  const parts = await atomic.recover({ afterMs: 0 });
  expect(parts).toMatchObject([{ server: 'b', outcome: 'failed' }]);
  expect(await decisions(db, [1])).toBe(1);
  await second!.start();
  await waitFor(async () => (await atomic.recover({ afterMs: 0 })).some(({ outcome }) => outcome === 'committed'), {
    what: 'recovery',
  });
  expect([await count(db, 1), await count(db, 30)]).toEqual([1, 1]);
  await expectNothingLeft(db);
  await killer.close();
});

test.each([
  ['the coordinator', 0, 0],
  ['another server', 1, 1],
] as const)(
  '%s killed while the write is decided: the same on all shards when it is back',
  async (_who, killed, there) => {
    const { db, atomic } = await setting({ pool: { poolBlockTimeoutMs: 1_000 } });
    const server = servers.servers[killed]!;
    onTestFinished(() => server.start());
    const writer = await atomicWrites(db, {
      recoverEveryMs: 0,
      retryForMs: 0,
      onStep: async (step) => {
        if (step === 'deciding') await server.kill();
      },
    });
    const write = writer.write([1, 30], async ([one, two]) => [await one.query(add(1)), await two.query(add(1))]);
    if (there === 1) await write;
    else expect(await rejection(write)).toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    await server.start();
    await waitFor(
      async () => {
        await atomic.recover({ afterMs: 0 });
        return (await preparedThere()) === 0;
      },
      { what: 'recovery' },
    );
    expect([await count(db, 1), await count(db, 30)]).toEqual([there, there]);
    await expectNothingLeft(db);
    await writer.close();
  },
);

test('two that lock in opposite orders on two servers end by their lock time-out, and none waits for clients', {
  timeout: 30_000,
}, async () => {
  const { db, atomic } = await setting({ lockTimeoutMs: 150, retryForMs: 15_000 });
  await db.fanOut([1, 2, 30], (cursor) => cursor.query(add(0)));
  const bump = `update entities set body = body || hstore('n', ((body -> 'n')::integer + 1)::text)`;
  const orders = [
    [1, 30],
    [30, 1],
    [1, 2, 30],
    [2, 30],
    [30, 2],
  ];
  await Promise.all(
    orders.flatMap((order) =>
      Array.from({ length: 3 }, () =>
        atomic.write(order, async (cursors) => {
          for (const cursor of cursors) await cursor.query(bump);
        }),
      ),
    ),
  );
  const values = await Promise.all(
    [1, 2, 30].map((shardId) =>
      db.withCursor(shardId, async (cursor) => {
        const { rows } = await cursor.query<{ n: string }>(`select body -> 'n' as n from entities`);
        return Number(rows[0]!.n);
      }),
    ),
  );
  expect(values).toEqual([9, 9, 15]);
  await expectNothingLeft(db);
});

/** A cluster whose shards 1 and 2 are on `a`, 3 and 4 on `b`, with atomic writes. */
async function movable(options: AtomicOptions = {}) {
  const cluster = await movableCluster({ databases: [a!, b!, control!] });
  const db = await cluster.datastore({ poolMax: 15 });
  const atomic = await atomicWrites(db, { recoverEveryMs: 0, ...options });
  onTestFinished(() => atomic.close());
  const move = (shardId: number, more: MoveOptions = {}): Promise<unknown> =>
    moveShards(cluster.setting, { shards: [shardId], to: 'b' }, { acceptStaleReads: true, ...more });
  return { ...cluster, db, atomic, move };
}

/** Makes an atomic write whose writer goes no further than a step. */
async function abandoned(db: Datastore, shards: readonly number[], at: AtomicStep): Promise<void> {
  const gone = new Error('gone');
  const writer = await atomicWrites(db, {
    recoverEveryMs: 0,
    onStep: (step) => {
      if (step === at) throw gone;
    },
  });
  const failure = await rejection(
    writer.write(shards, async (cursors) => {
      for (const cursor of cursors) await cursor.query(add(7));
    }),
  );
  expect(failure).toBe(gone);
  await writer.close();
}

test('a part that is prepared is a writer to movers: its shard stays until it has ended, and is found where its decision went', {
  timeout: 60_000,
}, async () => {
  const { db, atomic, move, owners, setting } = await movable();
  let told = 0;
  let over = false;
  const moving = move(2, {
    onStep: async (step, phase) => {
      // Decided, and prepared on the shard that moves.
      if (step === 'gate' && phase === 'acted') await abandoned(db, [1, 2], 'decided');
    },
    onProgress: ({ step, note }) => {
      if (step === 'pause' && /has written to the shard and is open/.test(note ?? '')) told += 1;
    },
  }).finally(() => {
    over = true;
  });
  await waitFor(async () => told > 0 || over, { what: 'the pause to wait' });
  expect([over, await owners(2), await preparedThere()]).toEqual([false, ['a'], 1]);
  expect(await atomic.recover({ afterMs: 0 })).toMatchObject([{ server: 'a', shardId: 2, outcome: 'committed' }]);
  await moving;
  expect([await owners(2), await count(db, 1), await count(db, 2)]).toEqual([['b'], 1, 1]);
  await expectNothingLeft(db);

  // The decision of a write that has a part left on b moves with its shard, and is asked for there.
  await move(1, {
    onStep: async (step, phase) => {
      // Not earlier: a slot is ready when no transaction is left that began before it, prepared ones too.
      if (step === 'gate' && phase === 'acted') await abandoned(db, [1, 3], 'decided');
    },
  });
  expect(await owners(1)).toEqual(['b']);
  const { rows } = await b!.query('select count(*)::integer as n from shard0001.hv_decision');
  expect([rows[0].n, await preparedThere()]).toEqual([1, 1]);
  expect(await atomic.recover({ afterMs: 0 })).toMatchObject([{ shardId: 3, outcome: 'committed' }]);
  expect([await count(db, 1), await count(db, 3)]).toEqual([2, 1]);
  await expectNothingLeft(db);
  await finishMoves(setting);
});

test('a copy that is the shard no more tells nothing of a decision', async () => {
  const { db, move } = await movable();
  await move(1);
  const id = '00000000-0000-4000-8000-000000000000';
  const old = a!.query(`select hypervault.atomic_decided('shard0001', $1, 100)`, [id]);
  expect(await rejection(old)).toMatchObject({ code: 'SV004' });
  expect(await rejection(a!.query(`select hypervault.atomic_enter('shard0001', 1, 100, 100)`))).toMatchObject({
    code: 'SV004',
  });
  expect(await rejection(a!.query(`select hypervault.atomic_settled('shard0001', 1, 'x')`))).toMatchObject({
    code: 'SV004',
  });
  expect((await b!.query(`select hypervault.atomic_decided('shard0001', $1, 100) as done`, [id])).rows).toEqual([
    { done: false },
  ]);
  expect(await decisions(db)).toBe(0);
});

test('from its first statement to the end of what is prepared, a part holds the gate and is seen by movers', async () => {
  const { db } = await movable();
  const cursor = await db.getConnection(1);
  await cursor.prepared('hv_test', async () => {
    await cursor.query(`select hypervault.atomic_enter('shard0001', 1, 100, 10000)`);
  });
  await db.putConnection(cursor);
  const seen = async () => {
    const { rows } = await a!.query(`
      select pg_try_advisory_xact_lock(1213595655, 1) as free,
        (select count(*)::integer from hypervault.move_writers('shard0001')) as writers`);
    return rows[0];
  };
  expect(await seen()).toEqual({ free: false, writers: 1 });
  await a!.query(`rollback prepared 'hv_test'`);
  expect(await seen()).toEqual({ free: true, writers: 0 });
});

test('while a shard is handed over no atomic write begins on it; those tried meanwhile come through after it', {
  timeout: 60_000,
}, async () => {
  const { db, move } = await movable();
  const hasty = await atomicWrites(db, { recoverEveryMs: 0, retryForMs: 0 });
  const patient = await atomicWrites(db, { recoverEveryMs: 0, retryForMs: 20_000 });
  const one = (atomic: AtomicWrites, order: number[]): Promise<void> =>
    atomic.write(order, async (cursors) => {
      for (const cursor of cursors) await cursor.query(add(1));
    });
  const late: Promise<void>[] = [];
  await move(2, {
    onStep: async (step, phase) => {
      if (step !== 'pause' || phase !== 'begun') return;
      late.push(one(patient, [2, 3]), one(patient, [4, 2]));
    },
    onProgress: () => {},
  });
  await Promise.all(late);
  expect([await count(db, 2), await count(db, 3), await count(db, 4)]).toEqual([2, 1, 1]);
  // The gate by itself: as in the moment between the pause and the fence.
  await a!.query(`select hypervault.move_arm('shard0001', 'hv_decision', 1, 'a', 1000, 1000)`);
  for (const order of [
    [1, 3],
    [3, 1],
  ]) {
    expect(await rejection(one(hasty, order))).toMatchObject({ code: 'SV008' });
  }
  await expectNothingLeft(db);
  await Promise.all([hasty.close(), patient.close()]);
});

test('a program whose map is old follows a shard whose old copy is gone', async () => {
  const { db, move, setting: moves } = await movable();
  let known = db.map;
  const listeners = new Set<(map: ShardMap) => void>();
  const late = new Datastore({
    get current() {
      return known;
    },
    changed: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    refresh: async () => {
      known = await db.refreshMap();
      for (const listener of listeners) listener(known);
      return known;
    },
  });
  onTestFinished(() => late.disconnect({ deadlineMs: 1_000 }));
  const writer = await atomicWrites(late, { recoverEveryMs: 0 });
  await move(1);
  await finishMoves(moves);
  for (const order of [
    [1, 3],
    [4, 1],
  ]) {
    await writer.write(order, async (cursors) => {
      for (const cursor of cursors) await cursor.query(add(1));
    });
  }
  expect([await count(db, 1), await count(db, 3), await count(db, 4)]).toEqual([2, 1, 1]);
  // An error of the callback's own that looks alike is the caller's.
  expect(await rejection(writer.write([1, 3], async ([one]) => one!.query('select from not_there')))).toMatchObject({
    code: '42P01',
  });
  await expectNothingLeft(db);
  await writer.close();
});

test('transfers go on while a shard moves and comes back: nothing lost, nothing done by half', {
  timeout: 60_000,
}, async () => {
  const { db, atomic, move, setting } = await movable({ retryForMs: 20_000 });
  let going = true;
  let done = 0;
  const writer = async (order: readonly number[]): Promise<void> => {
    while (going) {
      await atomic.write(order, async (cursors) => {
        for (const cursor of cursors) await cursor.query(add(1));
      });
      done += 1;
    }
  };
  const writers = [
    [2, 3],
    [3, 2],
    [1, 2],
    [2, 4],
  ].map(writer);
  try {
    await waitFor(async () => done > 20, { what: 'writes' });
    await move(2);
    const before = done;
    await waitFor(async () => done > before + 20, { what: 'writes after the move' });
    await revertMoves(setting, { shards: [2] }, { acceptStaleReads: true });
    const again = done;
    await waitFor(async () => done > again + 20, { what: 'writes after the way back' });
  } finally {
    going = false;
  }
  await Promise.all(writers);
  const counts = await Promise.all([1, 2, 3, 4].map((shardId) => count(db, shardId)));
  expect(counts[1]).toBe(done);
  expect(counts[0]! + counts[2]! + counts[3]!).toBe(done);
  await expectNothingLeft(db);
});
