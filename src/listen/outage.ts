import type { Endpoint } from '../internal/endpoint/endpoint.ts';
import type { HostAddress } from '../internal/endpoint/hosts.ts';
import { SQLSTATE, sqlStateOf } from '../internal/sqlstate.ts';
import { ListenError } from './errors.ts';

/** How one host looked when the primary was looked for. */
export interface HostState {
  readonly host: HostAddress;
  readonly state: 'standby' | 'refused' | 'unsettled' | 'other';
}

/** Why no listening session could be had, and what that says about the next attempt. */
export interface Outage {
  readonly hosts: readonly HostState[];
  /** Servers answer, and none of them is a primary. */
  readonly onlyStandbys: boolean;
  /** A server is starting or stopping: what it is will be known soon. */
  readonly unsettled: boolean;
}

/** Reads an outage from the error and from what the hosts said of themselves. */
export function readOutage(endpoint: Endpoint, error: unknown): Outage {
  const { hosts } = endpoint.settings;
  const refusedRole = error instanceof ListenError && error.reason === 'role';
  const states = hosts.map((host): HostState => {
    const report = endpoint.lastReports.find((candidate) => candidate.host.label === host.label);
    const hostError = hosts.length === 1 ? error : report?.error;
    if (report?.role === 'standby' || (hosts.length === 1 && refusedRole)) return { host, state: 'standby' };
    const errors = causes(hostError);
    if (errors.some(isRefusal)) return { host, state: 'refused' };
    return { host, state: errors.some(isPassing) ? 'unsettled' : 'other' };
  });
  return {
    hosts: states,
    onlyStandbys: refusedRole || states.some(({ state }) => state === 'standby'),
    unsettled: states.some(({ state }) => state === 'unsettled'),
  };
}

/** An error with all its causes, and the errors an AggregateError holds. */
function causes(error: unknown): unknown[] {
  if (!(error instanceof Error)) return [];
  const inner = error instanceof AggregateError ? error.errors.flatMap(causes) : [];
  return [error, ...inner, ...causes(error.cause)];
}

function isRefusal(error: unknown): boolean {
  const code: unknown = (error as { code?: unknown }).code;
  return code === 'ECONNREFUSED' || code === 'ENOENT';
}

/** "Starting up" or "shutting down", or a connection that was taken and cut by a server on its way out. */
function isPassing(error: unknown): boolean {
  const code: unknown = (error as { code?: unknown }).code;
  const { message } = error as Error;
  return (
    sqlStateOf(error) === SQLSTATE.cannotConnectNow || code === 'ECONNRESET' || /^Connection terminated/.test(message)
  );
}
