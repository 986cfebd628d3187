import type { Client } from 'pg';
import { ADVISORY_LOCK_CLASS } from '../../internal/advisory-locks.ts';
import { endClient } from '../../internal/client-guard.ts';
import { sleep } from '../../internal/sleep.ts';
import { ReplicaStateError } from '../errors.ts';
import type { Servers } from './servers.ts';
import type { SourceRow } from './source-rows.ts';

/** The right to work on a source. It ends with its session, so a killed process holds nothing back. */
export interface SourceLock {
  /** Fires when the session was lost, and with it the right. */
  readonly lost: AbortSignal;
  release(): Promise<void>;
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
  { waitMs = 0, signal }: { waitMs?: number; signal?: AbortSignal | undefined } = {},
): Promise<SourceLock> {
  const client = await servers.connect(servers.control, { signal });
  const deadline = Date.now() + waitMs;
  try {
    while (!(await tryLock(client, source))) {
      if (Date.now() >= deadline) {
        throw new ReplicaStateError(
          `another process works on the source ${source.name}; stop it with stop-replica, or wait for it`,
        );
      }
      await sleep(100, { signal, what: `waiting for the source ${source.name}` });
    }
  } catch (error) {
    await endClient(client);
    throw error;
  }
  const lost = new AbortController();
  let released = false;
  client.once('end', () => {
    if (!released) lost.abort(new Error('the session that held the lock of the source was lost'));
  });
  return {
    lost: lost.signal,
    release: async () => {
      released = true;
      await endClient(client);
    },
  };
}

async function tryLock(client: Client, source: SourceRow): Promise<boolean> {
  const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock($1, $2) as taken', [
    ADVISORY_LOCK_CLASS.import,
    Number(source.id),
  ]);
  return rows[0]!.taken;
}

/** Whether some process works on the source now: what the status column says may be left over from a killed one. */
export async function isLocked(client: Pick<Client, 'query'>, source: SourceRow): Promise<boolean> {
  const { rows } = await client.query<{ held: boolean }>(
    `select exists (
       select from pg_locks l
        where l.locktype = 'advisory'
          and l.database = (select d.oid from pg_database d where d.datname = current_database())
          and l.classid = $1
          and l.objid = $2
          and l.objsubid = 2
          and l.granted
     ) as held`,
    [ADVISORY_LOCK_CLASS.import, Number(source.id)],
  );
  return rows[0]!.held;
}
