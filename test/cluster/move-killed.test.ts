import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import {
  abortMoves,
  finishMoves,
  listMoves,
  MOVE_STEPS,
  type MoveStep,
  moveShards,
  resumeMoves,
  type StepPhase,
} from '../../src/cluster/index.ts';
import { databaseOf, type MovableCluster, movableCluster } from '../support/movable-cluster.ts';
import { ownServers } from '../support/own-server.ts';
import { rejection } from '../support/wait-for.ts';

type Stop = readonly [shardId: number, step: MoveStep, phase: StepPhase];

/** Runs a mover of several shards until each stands where it should, and kills it with SIGKILL. */
async function killMoverAt(cluster: MovableCluster, stops: readonly Stop[], revert = false): Promise<void> {
  const order = JSON.stringify({ setting: cluster.setting, to: 'b', stops, revert });
  const child = spawn(process.execPath, ['--import', 'tsx', join(import.meta.dirname, 'mover-process.ts'), order], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
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

/** Room for a move of every shard at once. */
const ROOM = {
  fsync: false,
  max_wal_senders: 120,
  max_replication_slots: 160,
  max_logical_replication_workers: 80,
  max_worker_processes: 100,
  max_active_replication_origins: 160,
  max_connections: 400,
};

async function ownCluster(shards: readonly [string, string]): Promise<MovableCluster> {
  const { servers } = await ownServers({ servers: 2, settings: ROOM });
  const [a, b] = [databaseOf(servers[0]!.connection), databaseOf(servers[1]!.connection)];
  await a.query('create database control');
  return movableCluster({
    shards,
    databases: [a, b, databaseOf({ ...a.connection, database: 'control' })],
  });
}

/** Of the way back. */
const STEPS_BACK: readonly MoveStep[] = ['gate', 'pause', 'fence', 'flip', 'open', 'cleanup'];

/** Around the hand-over before and after each step; elsewhere in turns the one or the other, each shard at another place. */
function stopsAt(steps: readonly MoveStep[], firstShard: number): Stop[] {
  const places = steps.flatMap((step, n): [MoveStep, StepPhase][] => {
    if (HAND_OVER.has(step))
      return [
        [step, 'begun'],
        [step, 'acted'],
      ];
    return [[step, n % 2 === 0 ? 'acted' : 'begun']];
  });
  return places.map(([step, phase], n) => [firstShard + n, step, phase]);
}

const HAND_OVER = new Set<MoveStep>(['pause', 'fence', 'flip', 'open']);
const AFTER_FENCE = new Set<MoveStep>(['flip', 'open', 'wayback', 'cleanup']);

function isForward([, step, phase]: Stop): boolean {
  return AFTER_FENCE.has(step) || (step === 'fence' && phase === 'acted');
}

test('a mover killed at any step leaves a move that can be resumed or aborted, with one owner and nothing left behind', {
  timeout: 120_000,
}, async () => {
  const cluster = await ownCluster(['1-31', '31-32']);
  const { a, setting } = cluster;
  const stops = stopsAt(MOVE_STEPS, 1);
  for (const [shardId] of stops) {
    const schema = `shard${String(shardId).padStart(4, '0')}`;
    await a.query(
      `insert into ${schema}.entities (type, body) select 1, hstore('n', n::text) from generate_series(1, 20) n`,
    );
  }
  await killMoverAt(cluster, stops);
  const open = await listMoves(setting, { open: true });
  expect(open.map(({ shardId }) => shardId).sort((x, y) => x - y)).toEqual(stops.map(([shardId]) => shardId));

  // What is past the point of no return goes forward, and of the others every second one goes back.
  const refused = stops.filter((stop) => isForward(stop));
  for (const [shardId] of refused.slice(0, 2)) {
    expect(await rejection(abortMoves(setting, { shards: [shardId] }))).toMatchObject({ code: 'MOVE_STATE' });
  }
  const undone = stops.filter((stop) => !isForward(stop) && stop[0] % 4 < 2).map(([shardId]) => shardId);
  await abortMoves(setting, { shards: undone });
  await resumeMoves(setting, {}, { acceptStaleReads: true });
  for (const [shardId] of stops) {
    expect([shardId, await cluster.owners(shardId)]).toEqual([shardId, [undone.includes(shardId) ? 'a' : 'b']]);
  }
  await finishMoves(setting);
  expect(await listMoves(setting, { open: true })).toEqual([]);
  expect(await cluster.leftovers()).toEqual([]);
  for (const [shardId] of stops) {
    const { query } = undone.includes(shardId) ? cluster.a : cluster.b;
    const { rows } = await query(`select count(*)::int as n from shard${String(shardId).padStart(4, '0')}.entities`);
    expect([shardId, rows[0].n]).toEqual([shardId, 20]);
  }
  // What was undone can be done again.
  await moveShards(setting, { shards: undone.slice(0, 1), to: 'b' }, { acceptStaleReads: true, wayBack: false });
  expect(await cluster.owners(undone[0]!)).toEqual(['b']);

  const back = stopsAt(STEPS_BACK, stops.length + 1);
  const shards = back.map(([shardId]) => shardId);
  await moveShards(setting, { shards, to: 'b' }, { acceptStaleReads: true });
  await killMoverAt(cluster, back, true);
  const stayed = back
    .filter((stop) => !isForward(stop) && stop[0] % 4 < 2 && stop[1] !== 'gate')
    .map(([shardId]) => shardId);
  await abortMoves(setting, { shards: stayed });
  await resumeMoves(setting);
  await finishMoves(setting);
  expect(await listMoves(setting, { open: true })).toEqual([]);
  for (const [shardId] of back) {
    expect([shardId, await cluster.owners(shardId)]).toEqual([shardId, [stayed.includes(shardId) ? 'b' : 'a']]);
  }
  expect(await cluster.leftovers()).toEqual([]);
});
