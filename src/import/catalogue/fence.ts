import type { Client } from 'pg';
import { ADVISORY_LOCK_CLASS } from '../../internal/advisory-locks.ts';
import { sleep } from '../../internal/sleep.ts';
import { SQLSTATE, sqlStateOf } from '../../internal/sqlstate.ts';
import { ReplicaStateError } from '../errors.ts';
import { BOTH, type WorkerKind } from './lock.ts';
import type { SourceRow } from './source-rows.ts';

/** How long sessions that were told to end may take. */
const END_MS = 60_000;

/**
 * Keeps what a process that was killed still has running on the servers out of the way of the one that goes on: a session
 * ends the statement in hand – an index being built, a key waiting for a lock, a commit – before it notices that its client
 * is gone, if the server does not look after its clients (`client_connection_check_interval`).
 *
 * Every session that works for the holder of a source's lock has a shared advisory lock on its server. The first one of a
 * new holder takes it alone before, and to get it ends those of earlier holders: they have no right to work any more.
 */
export class Fence {
  readonly #name: string;
  readonly #keys: readonly number[];
  readonly #passed = new Map<string, Promise<void>>();

  /** @param workers - which the holder has the right of */
  constructor({ name, key }: Pick<SourceRow, 'name' | 'key'>, workers: readonly WorkerKind[] = BOTH) {
    this.#name = name;
    this.#keys = workers.map((worker) => keyOf(key, worker));
  }

  /**
   * Makes a session one of the holder's.
   * @throws ReplicaStateError when sessions of an earlier holder do not end
   */
  async enter(server: string, client: Client, signal: AbortSignal | undefined): Promise<void> {
    let passed = this.#passed.get(server);
    if (passed === undefined) {
      passed = this.#clear(server, client, signal);
      this.#passed.set(server, passed);
      passed.catch(() => this.#passed.delete(server));
    }
    await passed;
    await client.query('select pg_advisory_lock_shared($1, key) from unnest($2::int[]) key', [
      ADVISORY_LOCK_CLASS.importWork,
      this.#keys,
    ]);
  }

  async #clear(server: string, client: Client, signal: AbortSignal | undefined): Promise<void> {
    const deadline = performance.now() + END_MS;
    for (const key of this.#keys) {
      while (!(await takeAlone(client, key))) {
        const sessions = await endOthers(client, key);
        if (performance.now() > deadline) {
          throw new ReplicaStateError(
            `sessions of a process that worked on the source ${this.#name} before are still at work on ${server} (${sessions.join(', ')}): end them with pg_terminate_backend`,
          );
        }
        await sleep(50, { signal, what: `waiting for sessions on ${server}` });
      }
    }
  }
}

/** A source's own number; a server may serve several catalogues, so it comes of the name that is unique among all. */
function keyOf(sourceKey: string, worker: WorkerKind): number {
  return (Number.parseInt(sourceKey.slice(0, 8), 16) & ~1) | BOTH.indexOf(worker);
}

/** Whether nobody had it: then nobody has it again. */
async function takeAlone(client: Client, key: number): Promise<boolean> {
  const { rows } = await client.query<{ free: boolean }>(
    `select case when pg_try_advisory_lock($1, $2) then pg_advisory_unlock($1, $2) else false end as free`,
    [ADVISORY_LOCK_CLASS.importWork, key],
  );
  return rows[0]!.free;
}

/** Ends the sessions that have it. Without the right to, they are waited for. */
async function endOthers(client: Client, key: number): Promise<number[]> {
  const { rows } = await client.query<{ pid: number }>(
    `select l.pid
       from pg_locks l
      where l.locktype = 'advisory'
        and l.database = (select d.oid from pg_database d where d.datname = current_database())
        and l.classid = $1
        and l.objid = $2::bigint::oid
        and l.objsubid = 2
        and l.pid <> pg_backend_pid()`,
    [ADVISORY_LOCK_CLASS.importWork, (key >>> 0).toString()],
  );
  const sessions = rows.map(({ pid }) => pid);
  for (const pid of sessions) {
    await client.query('select pg_terminate_backend($1)', [pid]).catch((error: unknown) => {
      if (sqlStateOf(error) !== SQLSTATE.insufficientPrivilege) throw error;
    });
  }
  return sessions;
}
