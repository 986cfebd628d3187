// Shards move to another server under load.
import type { Datastore, Key } from 'pg-hypervault';
import { finishMoves, type MoveSetting, moveShards } from 'pg-hypervault/cluster';
import { Callers } from './callers.ts';
import { number, say, seconds, step } from './say.ts';

const MOVED = [1, 2];

/** Returns everything that was acknowledged meanwhile. */
export async function growByOneServer(db: Datastore, cluster: MoveSetting, keys: readonly Key[]): Promise<Key[]> {
  step('Shards 1 and 2 move to server 3 while 16 callers read and write them');
  const callers = new Callers(
    db,
    keys.filter(({ shardId }) => MOVED.includes(shardId)),
    16,
  );
  const start = performance.now();
  await moveShards(
    cluster,
    { shards: MOVED, to: 'server3' },
    {
      // Superusers, as everybody is here, can't be kept from reading an old copy; an app has a role of its own.
      acceptStaleReads: true,
      onProgress: ({ shardId, pauseMs }) => {
        if (pauseMs !== undefined) say(`shard ${shardId} has moved; its writers waited ${pauseMs.toFixed(0)} ms`);
      },
    },
  );
  await finishMoves(cluster);
  await callers.stop();
  const { answers, slowestMs, errors } = callers.takeNotes();
  const failed = [...errors.values()].reduce((sum, { count }) => sum + count, 0);
  say(`it took ${seconds(performance.now() - start)}, copied and compared row by row, the old copies removed`);
  say(
    `meanwhile: ${number(answers)} answers, ${number(failed)} errors, the slowest after ${slowestMs.toFixed(0)} ms; nobody was restarted`,
  );
  if (failed > 0) throw new Error(`calls failed during the move: ${[...errors.values()][0]!.message}`);
  return callers.acknowledged;
}
