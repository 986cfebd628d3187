import pg from 'pg';
import { destroyClient, guardClient } from '../client-guard.ts';
import { shareSignal } from '../share-signal.ts';
import { throwIfAborted } from '../sleep.ts';
import { SQLSTATE } from '../sqlstate.ts';
import type { HostAddress } from './hosts.ts';
import type { ResolvedSettings } from './resolve.ts';

/** What is known about a session without asking: where it goes, and what its server reports of its own accord. */
export interface SessionFacts {
  readonly host: HostAddress;
  readonly openedAt: number;
  /** From the `in_hot_standby` report (PostgreSQL 14 and later); changes during the session when a standby is promoted. */
  inHotStandby: boolean | undefined;
  /** From the `default_transaction_read_only` report (PostgreSQL 14 and later). */
  readOnly: boolean | undefined;
}

const facts = new WeakMap<pg.Client, SessionFacts>();

/** The facts of a session opened here, or `undefined` for a foreign client. */
export function factsOf(client: pg.Client): SessionFacts | undefined {
  return facts.get(client);
}

export interface SessionHooks {
  /** The session is over; without an error it was ended on purpose. */
  readonly onLost?: ((client: pg.Client, error: unknown) => void) | undefined;
  /** The server reported another role. */
  readonly onRoleReport?: ((client: pg.Client) => void) | undefined;
  /** The server refused a write (25006). */
  readonly onRefusedWrite?: ((client: pg.Client) => void) | undefined;
}

/** Guards a client that is about to connect to `host`, and keeps the facts of its session. */
export function watchSession(
  client: pg.Client,
  host: HostAddress,
  { onLost, onRoleReport, onRefusedWrite }: SessionHooks = {},
): void {
  const known: SessionFacts = { host, openedAt: performance.now(), inHotStandby: undefined, readOnly: undefined };
  facts.set(client, known);
  guardClient(client, (error) => onLost?.(client, error));
  const { connection } = client as unknown as { connection: ReportingConnection };
  connection.on('errorMessage', ({ code }) => {
    if (code === SQLSTATE.readOnlySqlTransaction) onRefusedWrite?.(client);
  });
  connection.on('parameterStatus', ({ parameterName, parameterValue }) => {
    if (parameterName === 'default_transaction_read_only') known.readOnly = parameterValue === 'on';
    if (parameterName !== 'in_hot_standby') return;
    const before = known.inHotStandby;
    known.inHotStandby = parameterValue === 'on';
    if (before !== undefined && before !== known.inHotStandby) onRoleReport?.(client);
  });
}

/** Opens one guarded session to one host; the driver's own error when it fails. */
export async function openSession(
  settings: ResolvedSettings,
  host: HostAddress,
  { signal, ...hooks }: SessionHooks & { signal?: AbortSignal | undefined } = {},
): Promise<pg.Client> {
  const what = `connecting to ${host.label}`;
  throwIfAborted(signal, what);
  const client = new pg.Client({ ...settings.client, host: host.host, port: host.port });
  watchSession(client, host, hooks);
  const onAbort = (): void => destroyClient(client);
  shareSignal(signal);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    await client.connect();
    throwIfAborted(signal, what);
    return client;
  } catch (error) {
    destroyClient(client);
    throwIfAborted(signal, what);
    throw error;
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

/** May be set until the first statement is sent; a session that was opened for a question has its mode yet to get. */
export function setPipeline(client: pg.Client, pipeline: boolean): void {
  (client as unknown as { pipeline: boolean }).pipeline = pipeline;
}

/** node-postgres' connection, as far as what the server says of its own goes; its types leave it out. */
interface ReportingConnection {
  on(name: 'errorMessage', listener: (error: { code?: string }) => void): void;
  on(name: 'parameterStatus', listener: (report: { parameterName: string; parameterValue: string }) => void): void;
}
