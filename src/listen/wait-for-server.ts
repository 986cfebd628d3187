import { connect } from 'node:net';
import { destroyClient } from '../internal/client-guard.ts';
import type { Endpoint } from '../internal/endpoint/endpoint.ts';
import type { HostAddress } from '../internal/endpoint/hosts.ts';
import { openSession } from '../internal/endpoint/session.ts';
import { withinLimit } from '../internal/endpoint/waiting.ts';
import { linkSignals } from '../internal/link-signals.ts';
import { sleep } from '../internal/sleep.ts';
import type { HostState } from './outage.ts';

/** A port that refuses costs neither side anything: there is no server behind it, only a kernel that says no. */
const MAX_KNOCK_MS = 100;
const MIN_PAUSE_MS = 20;

export interface WaitOptions {
  readonly maxMs: number;
  readonly rolePollMs: number;
  /** When the outage began, by `performance.now()`. */
  readonly since: number;
  readonly signal: AbortSignal;
}

/**
 * Waits before the next attempt to find a primary, and ends early when there is a reason to look: a port that refused
 * is open again, or a standby has been promoted. So a long back-off costs no time once the server is there.
 */
export async function waitForServer(
  endpoint: Endpoint,
  hosts: readonly HostState[],
  { maxMs, rolePollMs, since, signal }: WaitOptions,
): Promise<void> {
  const over = new AbortController();
  using either = linkSignals([signal, over.signal]);
  const stop = either.signal;
  const watches = hosts.flatMap(({ host, state }) => {
    if (state === 'refused') return [knock(host, () => pauseAfter(since, MAX_KNOCK_MS), stop)];
    if (state === 'standby') return [promotion(endpoint, host, () => pauseAfter(since, rolePollMs), stop)];
    return [];
  });
  // A watch that fails has nothing to say; the others and the clock go on.
  const never = new Promise<void>(() => {});
  await Promise.race([
    sleep(maxMs, { signal: stop }).catch(() => {}),
    ...watches.map((watch) => watch.catch(() => never)),
  ]);
  over.abort();
}

/** A tenth of the outage so far: a failover is looked for often, and a server that is gone for good seldom. */
function pauseAfter(since: number, mostMs: number): number {
  return Math.min(mostMs, Math.max(MIN_PAUSE_MS, (performance.now() - since) / 10));
}

/** Resolves when something accepts connections at a place where nothing did. */
async function knock(host: HostAddress, pauseMs: () => number, signal: AbortSignal): Promise<void> {
  for (;;) {
    await sleep(pauseMs(), { signal });
    if (await accepts(host, signal)) return;
  }
}

function accepts({ host, port }: HostAddress, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const target = host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port };
    const socket = connect({ ...target, timeout: 1_000 });
    const done = (open: boolean): void => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      resolve(open);
    };
    const onAbort = (): void => done(false);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('connect', () => done(true));
    socket.once('timeout', () => done(false));
    socket.once('error', () => done(false));
  });
}

/** Resolves when a standby says that it is one no more; rejects when it can't be asked. */
async function promotion(
  endpoint: Endpoint,
  host: HostAddress,
  pauseMs: () => number,
  signal: AbortSignal,
): Promise<void> {
  const client = await openSession(endpoint.settings, host, { signal });
  try {
    for (;;) {
      const asked = withinLimit(client, endpoint.settings.connectTimeoutMs, () =>
        client.query<{ standby: boolean }>('select pg_is_in_recovery() as standby'),
      );
      if (!(await asked).rows[0]!.standby) return;
      await sleep(pauseMs(), { signal });
    }
  } finally {
    destroyClient(client);
  }
}
