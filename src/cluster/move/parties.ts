import type { Client } from 'pg';
import type { ConnectionSettings } from '../../core/index.ts';
import { destroyClient, endClient } from '../../internal/client-guard.ts';
import { Endpoint } from '../../internal/endpoint/endpoint.ts';
import { Releasers } from '../../internal/releasers.ts';
import { onServer } from '../owners.ts';

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
    // Where it can, the server looks whether this program is gone, also while it runs something for it.
    await client.query(`set client_connection_check_interval to '1s'`).catch(() => {});
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
