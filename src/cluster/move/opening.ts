import type { Client } from 'pg';
import { ADVISORY_LOCK_CLASS } from '../../internal/advisory-locks.ts';
import type { Moving } from './moving.ts';
import type { Party } from './parties.ts';
import { furtherSession } from './shard-lock.ts';

/** How long writers that came too early, and are being refused, are waited for; it takes them a moment. */
const EARLY_MS = 1_000;

/**
 * The transaction on the new server that opens the shard. It begins before the pause and holds the gate there: a writer who
 * comes by the new map before the shard is opened waits for the commit, and goes in with it.
 */
export class Opening {
  readonly #client: Client;
  readonly #schema: string;
  readonly #shardId: number;
  #begun = false;

  private constructor(client: Client, { schema, shardId }: Moving) {
    this.#client = client;
    this.#schema = schema;
    this.#shardId = shardId;
  }

  /** On a session of its own. */
  static async on(party: Party, moving: Moving): Promise<Opening> {
    return new Opening(await furtherSession(party, moving.shardId), moving);
  }

  /** Changes nothing: what a session has done once it does faster, and {@link prepare} is waited for by everybody. */
  async rehearse(server: string): Promise<void> {
    await this.#client.query('select hypervault.move_open($1, $2, 0, $3, true)', [this.#schema, server, '{}']);
  }

  async begin(): Promise<void> {
    this.#begun = true;
    // A mover that vanishes must not keep the gate, nor other moves waiting for their slots.
    await this.#client.query(
      `begin;
       set local idle_in_transaction_session_timeout to '15s';
       set local lock_timeout to ${EARLY_MS};
       select pg_advisory_xact_lock(${ADVISORY_LOCK_CLASS.writers}, ${this.#shardId})`,
    );
  }

  /**
   * Makes ready what {@link commit} lets everybody see.
   *
   * @param behind - what each sequence goes on behind
   */
  async prepare(server: string, epoch: bigint, behind: object): Promise<void> {
    await this.#client.query('select hypervault.move_open($1, $2, $3, $4, false)', [
      this.#schema,
      server,
      epoch.toString(),
      JSON.stringify(behind),
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
