import type { Client } from 'pg';
import { ADVISORY_LOCK_CLASS } from '../../internal/advisory-locks.ts';
import { endClient } from '../../internal/client-guard.ts';
import { linkSignals } from '../../internal/link-signals.ts';
import { sleep } from '../../internal/sleep.ts';
import { isConnectionLoss } from '../../internal/sqlstate.ts';
import { LockLostError, ReplicaStateError } from '../errors.ts';
import { inTransaction, type Servers } from './servers.ts';
import { getSource, type SourceRow } from './source-rows.ts';

/** The right to work on a source. It ends with its session, so a killed process holds nothing back. */
export interface SourceLock {
  /** Fires when the session was lost, and with it the right; its reason is a LockLostError. */
  readonly lost: AbortSignal;
  /** The source as it is now that the right is had: what was read before may be overtaken by whoever had it until now. */
  readonly source: SourceRow;
  /**
   * Works on the control database in the session that has the right. For what decides where rows live: once the right is
   * lost it fails, whether this process has noticed or not, and cannot undo what the next one has done.
   * @throws LockLostError
   */
  under<Result>(work: (client: Client) => Promise<Result>): Promise<Result>;
  release(): Promise<void>;
}

/** The two workers of a source can run apart; everything else needs the right of both. */
export type WorkerKind = 'read' | 'replay';

export const BOTH: readonly WorkerKind[] = ['read', 'replay'];

/** The second integer of the advisory lock: two for each source. */
function keyOf(source: Pick<SourceRow, 'id'>, worker: WorkerKind): number {
  return Number(source.id) * 2 + BOTH.indexOf(worker);
}

/**
 * Takes the right to work on a source.
 *
 * @param waitMs - how long to wait for another process to let go
 * @throws ReplicaStateError when another process holds it
 */
export async function lockSource(
  servers: Servers,
  source: SourceRow,
  {
    waitMs = 0,
    signal,
    workers = BOTH,
  }: { waitMs?: number; signal?: AbortSignal | undefined; workers?: readonly WorkerKind[] } = {},
): Promise<SourceLock> {
  const client = await servers.connect(servers.control, { signal });
  const deadline = Date.now() + waitMs;
  let now: SourceRow;
  try {
    while (!(await tryLock(client, source, workers))) {
      if (Date.now() >= deadline) {
        throw new ReplicaStateError(
          `another process works on the source ${source.name}; stop it with stop-replica, or wait for it`,
        );
      }
      await sleep(100, { signal, what: `waiting for the source ${source.name}` });
    }
    now = await getSource(client, source.name);
    if (now.id !== source.id)
      throw new ReplicaStateError(`the source ${source.name} was registered anew; run it again`);
  } catch (error) {
    await endClient(client);
    throw error;
  }
  const lost = new AbortController();
  let released = false;
  client.once('end', () => {
    if (!released) lost.abort(new LockLostError(source.name));
  });
  return {
    lost: lost.signal,
    source: now,
    under: async (work) => {
      try {
        return await work(client);
      } catch (error) {
        throw lost.signal.aborted || isConnectionLoss(error) ? new LockLostError(source.name) : error;
      }
    },
    release: async () => {
      released = true;
      await endClient(client);
    },
  };
}

/**
 * Works under a lock and gives it back. The work is stopped by the signal and by the loss of the lock.
 * @throws LockLostError when the lock was lost meanwhile, however the work ended
 */
export async function underLock<Result>(
  lock: SourceLock,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  using linked = linkSignals([signal, lock.lost]);
  try {
    const result = await work(linked.signal);
    lock.lost.throwIfAborted();
    return result;
  } catch (error) {
    throw lock.lost.aborted ? lock.lost.reason : error;
  } finally {
    await lock.release();
  }
}

async function tryLock(client: Client, source: SourceRow, workers: readonly WorkerKind[]): Promise<boolean> {
  const taken: WorkerKind[] = [];
  for (const worker of workers) {
    const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock($1, $2) as taken', [
      ADVISORY_LOCK_CLASS.import,
      keyOf(source, worker),
    ]);
    if (rows[0]!.taken) taken.push(worker);
  }
  if (taken.length === workers.length) return true;
  for (const worker of taken) {
    await client.query('select pg_advisory_unlock($1, $2)', [ADVISORY_LOCK_CLASS.import, keyOf(source, worker)]);
  }
  return false;
}

/**
 * Notes that a source no longer runs, unless somebody works on it. Whoever takes the lock while we look says that it runs
 * after us, for the row of the source is ours until then.
 */
export async function noteStopped(client: Client, source: Pick<SourceRow, 'id'>): Promise<void> {
  await inTransaction(client, async () => {
    await client.query('select from hypervault.import_source where source_id = $1 for no key update', [
      source.id.toString(),
    ]);
    if (await isLocked(client, source)) return;
    await client.query(
      `update hypervault.import_source
          set status = 'stopped',
              reason = null
        where source_id = $1
          and status = 'running'`,
      [source.id.toString()],
    );
  });
}

/** Whether some process works on the source now: what the status column says may be left over from a killed one. */
export async function isLocked(client: Pick<Client, 'query'>, source: Pick<SourceRow, 'id'>): Promise<boolean> {
  const { rows } = await client.query<{ held: boolean }>(
    `select exists (
       select from pg_locks l
        where l.locktype = 'advisory'
          and l.database = (select d.oid from pg_database d where d.datname = current_database())
          and l.classid = $1
          and l.objid = any($2::oid[])
          and l.objsubid = 2
          and l.granted
     ) as held`,
    [ADVISORY_LOCK_CLASS.import, BOTH.map((worker) => keyOf(source, worker))],
  );
  return rows[0]!.held;
}
