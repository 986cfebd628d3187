import type pg from 'pg';
import { destroyClient, endClient, lossOf } from '../client-guard.ts';
import { factsOf } from './session.ts';

/** How long a session that nobody took is kept. */
const KEEP_MS = 1_000;

/**
 * The session over which the chosen host was asked, for the first caller who wants one: after a failover that is one
 * connection less to wait for.
 */
export class SpareSession {
  #client: pg.Client | undefined;
  #timer: NodeJS.Timeout | undefined;

  keep(client: pg.Client): void {
    this.drop();
    this.#client = client;
    this.#timer = setTimeout(() => this.drop(), KEEP_MS);
    this.#timer.unref();
  }

  /** Hands it over, if it lives and goes to this host. */
  take(label: string): pg.Client | undefined {
    const client = this.#client;
    if (client === undefined || factsOf(client)?.host.label !== label) return undefined;
    clearTimeout(this.#timer);
    this.#client = undefined;
    if (lossOf(client) === undefined) return client;
    destroyClient(client);
    return undefined;
  }

  drop(): void {
    clearTimeout(this.#timer);
    if (this.#client !== undefined) void endClient(this.#client);
    this.#client = undefined;
  }
}
