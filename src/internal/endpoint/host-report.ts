import type pg from 'pg';
import { destroyClient } from '../client-guard.ts';
import { linkSignals } from '../link-signals.ts';
import { SQLSTATE, sqlStateOf } from '../sqlstate.ts';
import type { HostAddress } from './hosts.ts';
import type { ResolvedSettings } from './resolve.ts';
import { openSession, type SessionHooks } from './session.ts';

/** What a server is by its own word. */
export type ServerRole = 'primary' | 'standby';

/** What one host answered when it was asked who it is. */
export interface HostReport {
  readonly host: HostAddress;
  /** `undefined` when it did not answer; `error` says why. */
  readonly role: ServerRole | undefined;
  /** The history the server writes (primary) or last restarted from (standby). */
  readonly timeline: number | undefined;
  /** The same for a primary and all its standbys. */
  readonly systemId: string | undefined;
  /** `default_transaction_read_only` is on: up, and refusing writes by its settings. */
  readonly readOnly: boolean;
  /** The backend is another one than the handshake named: a pooler stands between. */
  readonly pooled: boolean;
  readonly error: unknown;
}

interface Answer {
  standby: boolean;
  read_only: boolean;
  pid: number;
  system_id: string | null;
  timeline: number | null;
}

// The live timeline is in the name of the WAL file that is being written; pg_control_checkpoint() lags behind it
// by up to a checkpoint after a promotion, but is all that a standby has.
const WHO_ARE_YOU = `
  select pg_is_in_recovery() as standby,
         current_setting('default_transaction_read_only') = 'on' as read_only,
         pg_backend_pid() as pid,
         (select system_identifier::text from pg_control_system()) as system_id,
         case when pg_is_in_recovery() then (select timeline_id from pg_control_checkpoint())
              else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int
         end as timeline`;

/** For servers that keep their WAL to themselves (Aurora) or roles that may not look. */
const WHO_ARE_YOU_IN_SHORT = `
  select pg_is_in_recovery() as standby,
         current_setting('default_transaction_read_only') = 'on' as read_only,
         pg_backend_pid() as pid, null as system_id, null as timeline`;

/** Asks an open session who its server is. */
export async function askSession(client: pg.Client, host: HostAddress): Promise<HostReport> {
  let answer: Answer;
  try {
    answer = (await client.query<Answer>(WHO_ARE_YOU)).rows[0]!;
  } catch (error) {
    if (!isMissingFunction(error)) throw error;
    answer = (await client.query<Answer>(WHO_ARE_YOU_IN_SHORT)).rows[0]!;
  }
  return {
    host,
    role: answer.standby ? 'standby' : 'primary',
    timeline: answer.timeline ?? undefined,
    systemId: answer.system_id ?? undefined,
    readOnly: answer.read_only,
    pooled: answer.pid !== (client as unknown as { processID: number }).processID,
    error: undefined,
  };
}

/** What a host said, and the session over which it said it; whoever asked ends that. */
export interface Answered {
  readonly report: HostReport;
  readonly session: pg.Client | undefined;
}

/** Connects to one host and asks who it is. Never rejects; bounded by `connectTimeoutMs` as a whole. */
export async function askHost(
  settings: ResolvedSettings,
  host: HostAddress,
  { signal, hooks }: { signal: AbortSignal; hooks: SessionHooks },
): Promise<Answered> {
  using either = linkSignals([signal], settings.connectTimeoutMs);
  const limit = either.signal;
  let client: pg.Client | undefined;
  const onAbort = (): void => client && destroyClient(client);
  try {
    client = await openSession(settings, host, { ...hooks, signal: limit });
    limit.addEventListener('abort', onAbort, { once: true });
    return { report: await askSession(client, host), session: client };
  } catch (error) {
    if (client) destroyClient(client);
    const unknown = { role: undefined, timeline: undefined, systemId: undefined, readOnly: false, pooled: false };
    return { report: { host, ...unknown, error }, session: undefined };
  } finally {
    limit.removeEventListener('abort', onAbort);
  }
}

function isMissingFunction(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state === SQLSTATE.insufficientPrivilege || state === SQLSTATE.undefinedFunction || state === '0A000';
}
