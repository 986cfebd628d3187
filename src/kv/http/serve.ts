import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { SecureContextOptions, TlsOptions } from 'node:tls';
import { ConfigurationError } from '../../errors.ts';
import { linkSignals } from '../../internal/link-signals.ts';
import type { CommitServerOptions } from './options.ts';
import { createCommitServer } from './server.ts';

export interface ServeOptions<V = unknown> extends CommitServerOptions<V> {
  /** @default '127.0.0.1' */
  readonly host?: string | undefined;
  /** 0 takes a free one. @default 8080 */
  readonly port?: number | undefined;
  /** Certificate and key, as `node:https` takes them: serves https instead of http. */
  readonly tls?: (SecureContextOptions & TlsOptions) | undefined;
  /** Connections at a time; more are closed. @default 10000 */
  readonly maxConnections?: number | undefined;
}

/** A server that is listening. */
export interface RunningCommitServer {
  readonly server: Server;
  readonly port: number;
  /** Where the keys are, base path included. */
  readonly url: string;
  /** Ends the watches, lets the requests in hand end for at most 5 s, and closes. Idempotent. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** How long a slow client may take: for its headers, its whole request, and between two signs of life. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 60_000;
const IDLE_TIMEOUT_MS = 60_000;
const CLOSE_TIMEOUT_MS = 5_000;

/**
 * Listens and serves commits, with bounds on slow and on many clients.
 *
 * @example
 * ```ts
 * const running = await serveCommits({ storage, basePath: '/diary', port: 8080 });
 * ```
 * @throws ConfigurationError when an option is wrong or the address can't be had
 */
export async function serveCommits<V>(options: ServeOptions<V>): Promise<RunningCommitServer> {
  const { host = '127.0.0.1', port = 8080, tls, maxConnections = 10_000, ...rest } = options;
  const closing = new AbortController();
  const either = linkSignals([rest.signal, closing.signal]);
  const listener = createCommitServer({ ...rest, signal: either.signal });
  const timeouts = {
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: 1_000,
  };
  const server =
    tls === undefined ? createServer(timeouts, listener) : makeTlsServer({ ...tls, ...timeouts }, listener);
  server.maxConnections = maxConnections;
  server.setTimeout(IDLE_TIMEOUT_MS);
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (cause) {
    throw new ConfigurationError(`can't listen on ${host}:${port}: ${(cause as Error).message}`, { cause });
  }
  const taken = (server.address() as AddressInfo).port;
  const shown = host.includes(':') ? `[${host}]` : host;
  const basePath = (rest.basePath ?? '').replace(/\/+$/, '');
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closed ??= (async () => {
      closing.abort();
      const done = once(server, 'close');
      server.close();
      // A connection whose last answer is still on its way becomes idle a moment later.
      const idle = setInterval(() => server.closeIdleConnections(), 20);
      const limit = setTimeout(() => server.closeAllConnections(), CLOSE_TIMEOUT_MS);
      await done;
      clearInterval(idle);
      clearTimeout(limit);
    })();
    return closed;
  };
  return {
    server,
    port: taken,
    url: `${tls === undefined ? 'http' : 'https'}://${shown}:${taken}${basePath}`,
    close,
    [Symbol.asyncDispose]: close,
  };
}

function makeTlsServer(...parameters: Parameters<typeof createTlsServer>): Server {
  try {
    return createTlsServer(...parameters) as Server;
  } catch (cause) {
    throw new ConfigurationError(`tls: the certificate or its key can't be used: ${(cause as Error).message}`, {
      cause,
    });
  }
}
