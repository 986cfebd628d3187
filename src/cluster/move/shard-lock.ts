import type { Client } from 'pg';
import { ADVISORY_LOCK_CLASS } from '../../internal/advisory-locks.ts';
import { sleep } from '../../internal/sleep.ts';
import { MoveBusyError } from './errors.ts';
import type { Party } from './parties.ts';

/** The sessions of a mover that died take a moment to notice it. */
const LOCK_WITHIN_MS = 2_000;
const LOOK_EVERY_MS = 50;

/**
 * Takes the lock of a shard's mover, for as long as the session lives: in the control database, so that there is one, and
 * on a server, so that no migration changes the shard meanwhile.
 *
 * @throws MoveBusyError
 */
export async function lockShard(
  client: Client,
  kind: 'shard' | 'move',
  shardId: number,
  where: string,
  signal?: AbortSignal | undefined,
): Promise<void> {
  const deadline = performance.now() + LOCK_WITHIN_MS;
  while (!(await tryLock(client, kind, shardId))) {
    if (performance.now() > deadline) {
      const who = kind === 'move' ? 'another mover is' : 'a migration or another mover is';
      throw new MoveBusyError(shardId, `${who} at shard ${shardId} (its lock on ${where} is taken); try again later`, {
        retryable: true,
      });
    }
    await sleep(LOOK_EVERY_MS, { signal, what: 'the lock of a shard' });
  }
}

async function tryLock(client: Client, kind: keyof typeof ADVISORY_LOCK_CLASS, shardId: number): Promise<boolean> {
  const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock($1, $2) as taken', [
    ADVISORY_LOCK_CLASS[kind],
    shardId,
  ]);
  return rows[0]!.taken;
}

/** Gives back what {@link lockShard} took. */
export async function unlockShard(
  client: Client,
  kind: 'shard' | 'move' | 'moverSessions',
  shardId: number,
): Promise<void> {
  await client.query('select pg_advisory_unlock($1, $2)', [ADVISORY_LOCK_CLASS[kind], shardId]);
}

/**
 * Opens a further session of a shard's mover, which the next mover waits for: what it runs goes on when the mover dies,
 * a commit for one.
 */
export async function furtherSession(party: Party, shardId: number): Promise<Client> {
  const client = await party.connect();
  await client.query('select pg_advisory_lock_shared($1, $2)', [ADVISORY_LOCK_CLASS.moverSessions, shardId]);
  return client;
}

/**
 * Waits until nothing runs any more on a server that an earlier mover has begun there over {@link furtherSession}. To be
 * called with the lock of the shard, before anything is decided by what the shard says.
 *
 * @throws MoveBusyError
 */
export async function earlierMoverEnded(
  { client, name }: Party,
  shardId: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const deadline = performance.now() + LOCK_WITHIN_MS;
  while (!(await tryLock(client, 'moverSessions', shardId))) {
    if (performance.now() > deadline) {
      throw new MoveBusyError(
        shardId,
        `a mover of shard ${shardId} has died, and ${name} still runs what it had begun (pg_stat_activity there shows it as hypervault move); try again when that has ended`,
        { retryable: true },
      );
    }
    await sleep(LOOK_EVERY_MS, { signal, what: 'the end of an earlier mover' });
  }
  await unlockShard(client, 'moverSessions', shardId);
}
