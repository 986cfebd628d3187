import type { Client } from 'pg';
import type { ConnectionSettings } from '../../core/index.ts';
import { ADVISORY_LOCK_CLASS } from '../../internal/advisory-locks.ts';
import { destroyClient, endClient } from '../../internal/client-guard.ts';
import { Endpoint } from '../../internal/endpoint/endpoint.ts';
import { Releasers } from '../../internal/releasers.ts';
import { onServer } from '../owners.ts';
import { MoveBusyError } from './errors.ts';

/** One of the two servers of a move, with a session for orders. */
export interface Party {
  readonly name: string;
  readonly connection: ConnectionSettings;
  /** How the other server reaches this one. */
  readonly reachedBy: ConnectionSettings;
  readonly client: Client;
  /** `server_version_num`. */
  readonly version: number;
  /** Opens a further session, closed with the others. */
  connect(): Promise<Client>;
  /** Runs `work` on a session of its own with this server under other settings. */
  within<T>(connection: ConnectionSettings, work: (client: Client) => Promise<T>): Promise<T>;
}

/** Sessions that are closed together. */
export class Sessions {
  readonly #held = new Releasers();
  readonly #signal: AbortSignal | undefined;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  async connect(connection: ConnectionSettings): Promise<Client> {
    const endpoint = new Endpoint({ applicationName: 'hypervault move', ...connection });
    this.#held.add(() => endpoint.close());
    const client = await endpoint.connect({ signal: this.#signal });
    this.#held.add(() => endClient(client));
    // Whatever runs is given up: what it made is in the journal, and a pause that is not committed is undone.
    const onAbort = (): void => destroyClient(client);
    this.#signal?.addEventListener('abort', onAbort, { once: true });
    this.#held.add(() => this.#signal?.removeEventListener('abort', onAbort));
    // Somebody's defaults must not end a copy that takes hours; and what is written here counts when it is on disk, from
    // where replication takes it: without a flush it would wait for the next one, up to wal_writer_delay.
    await client.query(
      `set statement_timeout to 0; set idle_session_timeout to 0; set lock_timeout to 0; set synchronous_commit to on`,
    );
    return client;
  }

  async party(name: string, connection: ConnectionSettings, reachedBy: ConnectionSettings): Promise<Party> {
    const client = await this.connect(connection);
    const { rows } = await client.query<{ version: number }>(
      `select current_setting('server_version_num')::integer as version`,
    );
    const signal = this.#signal;
    return {
      name,
      connection,
      reachedBy,
      client,
      version: rows[0]!.version,
      connect: () => this.connect(connection),
      within: (other, work) => onServer(other, work, signal),
    };
  }

  async close(): Promise<void> {
    await this.#held.release();
  }
}

/**
 * Takes the lock of a shard's mover, for as long as the session lives: in the control database, so that there is one, and
 * on a server, so that no migration changes the shard meanwhile.
 *
 * @throws MoveBusyError
 */
export async function lockShard(client: Client, kind: 'shard' | 'move', shardId: number, where: string): Promise<void> {
  const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock($1, $2) as taken', [
    ADVISORY_LOCK_CLASS[kind],
    shardId,
  ]);
  if (rows[0]!.taken) return;
  const who = kind === 'move' ? 'another mover is' : 'a migration or another mover is';
  throw new MoveBusyError(shardId, `${who} at shard ${shardId} (its lock on ${where} is taken); try again later`, {
    retryable: true,
  });
}

/** Gives back what {@link lockShard} took. */
export async function unlockShard(client: Client, kind: 'shard' | 'move', shardId: number): Promise<void> {
  await client.query('select pg_advisory_unlock($1, $2)', [ADVISORY_LOCK_CLASS[kind], shardId]);
}
