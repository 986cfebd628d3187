import pg from 'pg';
import Pool from 'pg-pool';
import { HypervaultError, ServerUnavailableError, TimeoutError } from '../../errors.ts';
import { destroyClient } from '../client-guard.ts';
import { linkSignals } from '../link-signals.ts';
import type { HostAddress } from './hosts.ts';
import type { ResolvedSettings } from './resolve.ts';
import { retryWithin } from './waiting.ts';

/** What a pool asks of the endpoint it stands on. */
export interface PoolHost {
  readonly label: string;
  readonly settings: ResolvedSettings;
  /** The host a new session should go to. */
  hostToTry(options: { signal?: AbortSignal }): Promise<{ host: HostAddress }>;
  /** Watches a client that is about to connect to `host`. */
  watch(client: pg.Client, host: HostAddress): void;
  /** Takes a connected session in if its server has the role; destroys it and throws otherwise. */
  admit(client: pg.Client): Promise<void>;
  /** Whether a session is alive and on the host with the role. */
  accepts(client: pg.Client): boolean;
  /** Told that a session or a statement failed. */
  report(error: unknown, client?: pg.Client): void;
  explain(error: unknown): Error;
}

/** How a pool over an endpoint lends its sessions. */
export interface EndpointPoolOptions {
  /** Most sessions at a time. @default 10 */
  readonly max?: number | undefined;
  /** An idle session is ended after this time; 0 keeps it. @default 10000 */
  readonly idleTimeoutMs?: number | undefined;
  /** How long a caller waits for a session, through a failover too. @default 5000 */
  readonly waitTimeoutMs?: number | undefined;
  /** Ends sessions by age, so that backends give back their memory. 0 means never. @default 0 */
  readonly maxAgeMs?: number | undefined;
  /** Lets the process end while only idle sessions are left. @default false */
  readonly allowExitOnIdle?: boolean | undefined;
  /** Prepares each new session before it is lent. */
  readonly onConnect?: ((client: pg.ClientBase) => Promise<void> | void) | undefined;
}

type ConnectCallback = (
  error?: Error,
  client?: pg.Client & pg.PoolClient,
  done?: (release?: Error | boolean) => void,
) => void;

/**
 * pg-pool whose sessions follow the endpoint's primary, and whose failures are our typed errors.
 * One failing statement or lost session costs its caller only; the next call gets a session on the right host.
 */
export class EndpointPool extends Pool<pg.Client> {
  readonly #endpoint: PoolHost;
  readonly #waitTimeoutMs: number;

  constructor(endpoint: PoolHost, options: EndpointPoolOptions) {
    const { max = 10, idleTimeoutMs = 10_000, waitTimeoutMs = 5_000, maxAgeMs = 0, onConnect } = options;
    super({
      ...endpoint.settings.client,
      max,
      idleTimeoutMillis: idleTimeoutMs,
      connectionTimeoutMillis: waitTimeoutMs,
      maxLifetimeSeconds: maxAgeMs / 1_000,
      allowExitOnIdle: options.allowExitOnIdle ?? false,
      ...(onConnect && { onConnect: onConnect as (client: pg.ClientBase) => void }),
      Client: clientClassFor(endpoint, waitTimeoutMs),
    });
    this.#endpoint = endpoint;
    this.#waitTimeoutMs = waitTimeoutMs;
    // An idle session that is lost is replaced on the next call; without a listener the event would end the process.
    this.on('error', () => {});
    this.on('release', (error, client) => {
      if (error instanceof Error) endpoint.report(error, client);
    });
  }

  override connect(): Promise<pg.Client & pg.PoolClient>;
  override connect(callback: ConnectCallback): void;
  override connect(callback?: ConnectCallback): Promise<pg.Client & pg.PoolClient> | undefined {
    // pg-pool's own query() and connect() both come through here, one with a callback, one for a promise.
    const lent = this.#lend();
    if (callback === undefined) return lent;
    lent.then(
      (client) => callback(undefined, client, client.release),
      (error) => callback(error as Error, undefined, () => {}),
    );
    return undefined;
  }

  /** Ends the pool after the work in hand; idempotent, unlike `end()`. */
  async close(): Promise<void> {
    if (!this.ending) await this.end();
  }

  async #lend(): Promise<pg.Client & pg.PoolClient> {
    for (;;) {
      const client = await super.connect().catch((error) => {
        throw this.#explain(error);
      });
      if (this.#endpoint.accepts(client)) return client;
      client.release(true);
    }
  }

  #explain(error: unknown): unknown {
    if (!(error instanceof Error)) return error;
    if (error.message === 'timeout exceeded when trying to connect') {
      const what = `no session to ${this.#endpoint.label} was free within ${this.#waitTimeoutMs} ms`;
      return new TimeoutError(`${what}; raise the pool's max, or look for sessions that are not given back`);
    }
    if (error.message.startsWith('Connection terminated due to connection timeout')) {
      if (error.cause instanceof HypervaultError) return error.cause;
      return new ServerUnavailableError(this.#endpoint.label, `no connection to ${this.#endpoint.label} in time`, {
        cause: error,
      });
    }
    return error;
  }
}

/** pg-pool makes its clients itself, so the client asks the endpoint for the host when it is told to connect. */
function clientClassFor(endpoint: PoolHost, waitTimeoutMs: number): Pool.ClientLikeCtr<pg.Client> {
  class ClientOnEndpoint extends pg.Client {
    override connect(): Promise<pg.Client>;
    override connect(callback: (error: Error) => void): void;
    override connect(callback?: (error: Error) => void): Promise<pg.Client> | undefined {
      const connected = this.#connect();
      if (callback === undefined) return connected;
      connected.then(() => (callback as () => void)(), callback);
      return undefined;
    }

    async #connect(): Promise<pg.Client> {
      const client = this as pg.Client;
      try {
        const host = await hostWithin(endpoint, waitTimeoutMs);
        Object.assign(this, { host: host.host, port: host.port });
        endpoint.watch(client, host);
        await super.connect();
        await endpoint.admit(client);
        return client;
      } catch (error) {
        destroyClient(client);
        throw endpoint.explain(error);
      }
    }
  }
  return ClientOnEndpoint as Pool.ClientLikeCtr<pg.Client>;
}

/** Waits for a host with the role; when the time is up, says why there was none. */
async function hostWithin(endpoint: PoolHost, waitTimeoutMs: number): Promise<HostAddress> {
  using either = linkSignals([], waitTimeoutMs);
  const limit = either.signal;
  let last: unknown;
  try {
    return await retryWithin(waitTimeoutMs, limit, async () => {
      try {
        return (await endpoint.hostToTry({ signal: limit })).host;
      } catch (error) {
        if (!limit.aborted) last = error;
        throw error;
      }
    });
  } catch (error) {
    if (!limit.aborted) throw error;
    throw (
      last ?? new ServerUnavailableError(endpoint.label, `no connection to ${endpoint.label} in ${waitTimeoutMs} ms`)
    );
  }
}
