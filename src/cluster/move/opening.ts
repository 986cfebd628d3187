import type { Client } from 'pg';
import type { Party } from './parties.ts';

/** How long VACUUM is waited for; writers go on meanwhile. An autovacuum gives way after deadlock_timeout (1 s). */
export const VACUUM_MS = 5_000;

/**
 * The transaction on the new server that opens the shard. It begins before the pause and keeps VACUUM away, which likes
 * to come to tables that were just filled: opening would wait a second for it, and every writer too.
 */
export class Opening {
  readonly #client: Client;
  readonly #schema: string;
  #begun = false;

  private constructor(client: Client, schema: string) {
    this.#client = client;
    this.#schema = schema;
  }

  /** On a session of its own. */
  static async on({ connect }: Party, schema: string): Promise<Opening> {
    return new Opening(await connect(), schema);
  }

  async begin(): Promise<void> {
    // A mover that vanishes must not keep the shard shut, nor other moves waiting for their slots.
    await this.#client.query(
      `begin; set local idle_in_transaction_session_timeout to '15s'; set local lock_timeout to ${VACUUM_MS}`,
    );
    this.#begun = true;
    await this.#client.query('select hypervault.move_quiet($1)', [this.#schema]);
  }

  /** Makes ready what {@link commit} lets everybody see. */
  async prepare(server: string, epoch: bigint, sequences: readonly object[]): Promise<void> {
    await this.#client.query('select hypervault.move_open($1, $2, $3, $4)', [
      this.#schema,
      server,
      epoch.toString(),
      JSON.stringify(sequences),
    ]);
  }

  async commit(): Promise<void> {
    await this.#client.query('commit');
    this.#begun = false;
  }

  /** Never fails: a session that is gone has rolled back. */
  async rollback(): Promise<void> {
    if (this.#begun) await this.#client.query('rollback').catch(() => {});
    this.#begun = false;
  }
}
