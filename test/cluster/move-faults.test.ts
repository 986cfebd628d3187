import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { finishMoves, type MoveStep, moveShards, resumeMoves, type StepPhase } from '../../src/cluster/index.ts';
import { databaseOf, movableCluster } from '../support/movable-cluster.ts';
import { ownServers } from '../support/own-server.ts';
import { rejection, waitFor } from '../support/wait-for.ts';
import { lostOf, startWriters } from './writers.ts';

test('a server killed during a move: after its start the move is resumed, and nothing that was promised is lost', {
  timeout: 120_000,
}, async () => {
  const { servers } = await ownServers({ servers: 3, settings: { max_connections: 100 } });
  const [source, target, third] = [servers[0]!, servers[1]!, servers[2]!];
  const cluster = await movableCluster({
    shards: ['1-5', '5-6'],
    databases: [databaseOf(source.connection), databaseOf(target.connection), databaseOf(third.connection)],
  });
  const { a, b, setting } = cluster;
  const faults: [number, 'source' | 'target', MoveStep, StepPhase][] = [
    [1, 'source', 'copy', 'begun'],
    [2, 'target', 'copy', 'begun'],
    [3, 'source', 'pause', 'acted'],
    [4, 'target', 'flip', 'begun'],
  ];
  await a.query(
    `insert into shard0001.entities (type, body) select 1, hstore('n', n::text) from generate_series(1, 20000) n;
     insert into shard0002.entities (type, body) select 1, hstore('n', n::text) from generate_series(1, 20000) n`,
  );
  const writers = await startWriters({
    live: setting,
    shards: [1, 2, 3, 4],
    writers: 4,
    everyMs: 5,
    tolerant: true,
  });
  for (const [shardId, which, step, phase] of faults) {
    const server = which === 'source' ? source : target;
    const failed = await rejection(
      moveShards(
        setting,
        { shards: [shardId], to: 'b' },
        {
          acceptStaleReads: true,
          onStep: async (at, when) => {
            if (at === step && when === phase) await server.kill();
          },
        },
      ),
    );
    expect([shardId, failed.code]).not.toEqual([shardId, 'MOVE_PREFLIGHT']);
    await server.start();
    await waitFor(async () => (await resumed(setting)) === undefined, { timeoutMs: 30_000, everyMs: 200 });
    expect([shardId, await cluster.owners(shardId)]).toEqual([shardId, ['b']]);
  }
  const report = await writers.stop();
  // What was under way on a server that was killed is told to its caller; what was acknowledged is there.
  expect(report.failures.filter((failure) => /is not there|is at|given twice/.test(failure))).toEqual([]);
  for (const [shardId] of faults) {
    const mine = report.acked.filter(([id]) => Number((BigInt(id) >> 10n) & 8191n) === shardId);
    expect(mine.length).toBeGreaterThan(10);
    expect(await lostOf(b, `shard000${shardId}`, { ...report, acked: mine })).toEqual([]);
  }
  await finishMoves(setting);
  expect(await cluster.leftovers()).toEqual([]);
});

/** What keeps the move from being resumed, if anything does: a server that has not recovered yet. */
async function resumed(setting: Parameters<typeof resumeMoves>[0]): Promise<unknown> {
  return resumeMoves(setting, {}, { acceptStaleReads: true }).then(
    () => undefined,
    (error: unknown) => error,
  );
}

test('a transaction that stays open makes the pause wait, not the writers', async () => {
  const cluster = await movableCluster();
  const { a, b, setting } = cluster;
  const writers = await startWriters({ live: setting, shards: [2], writers: 8, everyMs: 5 });
  const holder = new pg.Client(a.connection);
  await holder.connect();
  onTestFinished(() => holder.end());
  const notes: string[] = [];
  let released = 0;
  await moveShards(
    setting,
    { shards: [2], to: 'b' },
    {
      acceptStaleReads: true,
      wayBack: false,
      onProgress: ({ note }) => {
        if (note !== undefined) notes.push(note);
      },
      onStep: async (step, phase) => {
        if (step !== 'gate' || phase !== 'acted') return;
        await holder.query(`begin; insert into shard0002.entities (type, body) values (9, 'held=>yes')`);
        setTimeout(() => {
          released = Date.now();
          void holder.query('commit');
        }, 2_000);
      },
    },
  );
  expect(released).toBeGreaterThan(0);
  expect(notes[0]).toMatch(/waiting for a transaction/);
  const report = await writers.stop();
  expect(report.failures).toEqual([]);
  expect(report.p99Ms).toBeLessThan(500);
  expect(await lostOf(b, 'shard0002', report)).toEqual([]);
  expect((await b.query('select count(*)::int as n from shard0002.entities where type = 9')).rows[0].n).toBe(1);
});

test('the flip waits for the last row, however long the new server is kept from taking it', async () => {
  const { a, b, setting } = await movableCluster();
  const holder = new pg.Client(b.connection);
  await holder.connect();
  onTestFinished(() => holder.end());
  const seen: string[] = [];
  const release = async (): Promise<void> => {
    if (seen.includes('released')) return;
    seen.push('released');
    await holder.query('commit');
  };
  await moveShards(
    setting,
    { shards: [2], to: 'b' },
    {
      acceptStaleReads: true,
      maxPauseMs: 100,
      wayBack: false,
      onStep: async (step, phase) => {
        if (step === 'gate' && phase === 'acted') {
          await holder.query('begin; lock table shard0002.entities in access exclusive mode');
          await a.query(`insert into shard0002.entities (type, body) values (9, '')`);
          setTimeout(() => void release(), 3_000);
        }
        if (step === 'fence' && phase === 'begun') seen.push('fence');
      },
      onProgress: ({ note }) => {
        if (note !== undefined) void release();
      },
    },
  );
  expect(seen).toEqual(['released', 'fence']);
  expect((await b.query('select count(*)::int as n from shard0002.entities where type = 9')).rows[0].n).toBe(1);
});

test('behind the fence, what the new server lacks again after a crash has come before it is opened', async () => {
  const cluster = await movableCluster();
  const { a, b, setting } = cluster;
  const options = { acceptStaleReads: true, wayBack: false };
  const onStep = (step: MoveStep, phase: StepPhase): void => {
    if (step === 'fence' && phase === 'acted') throw new Error('the mover dies');
  };
  const failed = await rejection(moveShards(setting, { shards: [2], to: 'b' }, { ...options, onStep }));
  expect(failed.message).toMatch(/the mover dies/);
  // As after a crash that lost what was applied and not on disk: a row of the source is not there, and nobody brings it.
  const { rows } = await b.query(
    `select subname from pg_subscription join pg_database on pg_database.oid = subdbid where datname = current_database()`,
  );
  await b.query(`alter subscription ${rows[0].subname} disable`);
  await a.query(
    `begin; set local session_replication_role to replica; insert into shard0002.entities (id, type, body) values (1, 9, ''); commit`,
  );
  await resumeMoves(setting, {}, options);
  expect((await b.query('select count(*)::int as n from shard0002.entities where type = 9')).rows[0].n).toBe(1);
  expect(await cluster.owners(2)).toEqual(['b']);
  expect(await cluster.leftovers()).toEqual([]);
});

test('a pause in which the last rows do not arrive is undone: writers go on, and it is tried again', async () => {
  const cluster = await movableCluster();
  const { a, b, setting } = cluster;
  const writers = await startWriters({ live: setting, shards: [2], writers: 4, everyMs: 5 });
  const subscription = async (how: 'enable' | 'disable'): Promise<void> => {
    const { rows } = await b.query(
      `select subname from pg_subscription join pg_database on pg_database.oid = subdbid where datname = current_database()`,
    );
    await b.query(`alter subscription ${rows[0].subname} ${how}`);
  };
  const notes: string[] = [];
  let written: Promise<number | null> | undefined;
  const [move] = await moveShards(
    setting,
    { shards: [2], to: 'b' },
    {
      acceptStaleReads: true,
      maxPauseMs: 100,
      wayBack: false,
      onStep: async (step, phase) => {
        if (step === 'gate' && phase === 'acted') await subscription('disable');
      },
      onProgress: ({ step, note }) => {
        // Others of the run's tests hold transactions, which slots wait for.
        if (note === undefined || step !== 'pause') return;
        notes.push(note);
        // Not by the SDK, which would wait behind a fence.
        written ??= a
          .query(`insert into shard0002.entities (type, body) values (9, '')`)
          .then(({ rowCount }) => rowCount);
        if (notes.length === 2) void subscription('enable');
      },
    },
  );
  expect(await written).toBe(1);
  const report = await writers.stop();
  expect(notes[0]).toMatch(/the last rows did not reach b within 100 ms; trying again/);
  expect(move!.state).toBe('finished');
  expect(report.failures).toEqual([]);
  expect(await lostOf(b, 'shard0002', report)).toEqual([]);
  expect(await cluster.leftovers()).toEqual([]);
});
