import type pg from 'pg';
import { destroyClient, lossOf } from '../client-guard.ts';
import { factsOf } from './session.ts';

/** The sessions of an endpoint that are open at this moment, whoever has borrowed them. */
export class LiveSessions {
  readonly #open = new Set<pg.Client>();
  readonly #retired = new WeakSet<pg.Client>();

  get size(): number {
    return this.#open.size;
  }

  /** One that was lost while it was prepared is left out. */
  add(client: pg.Client): void {
    if (lossOf(client) === undefined) this.#open.add(client);
  }

  /** Whether it was one of these. */
  remove(client: pg.Client): boolean {
    return this.#open.delete(client);
  }

  isFit(client: pg.Client): boolean {
    return lossOf(client) === undefined && !this.#retired.has(client);
  }

  /** Takes a session out of use, and cuts it once its caller has got the error that is on its way. */
  retire(client: pg.Client, why: string): void {
    this.#retired.add(client);
    setImmediate(() => cut(client, why));
  }

  /** Cuts the sessions on every host but this one. */
  cutOthers(label: string, why: (host: string) => string): void {
    for (const client of this.#open) {
      const host = factsOf(client)?.host.label;
      if (host === undefined || host === label) continue;
      this.#open.delete(client);
      cut(client, why(host));
    }
  }
}

/** Ends a session with an error that every pool takes for a lost connection. */
function cut(client: pg.Client, why: string): void {
  destroyClient(client, Object.assign(new Error(`Connection terminated: ${why}`), { code: 'ECONNABORTED' }));
}
