import type { Logger } from '../core/index.ts';
import { CONNECTION_SETTING_KEYS, type ConnectionSettings } from '../internal/endpoint/settings.ts';
import { assertKnownKeys } from '../internal/known-keys.ts';
import { InvalidConfigurationError } from './errors.ts';
import { FAILOVER_FILES } from './file-watch.ts';
import { checkDuration, HUB_DEFAULTS, type HubOptions, type ResolvedHubOptions, resolveHubOptions } from './options.ts';

/** Election of one leader among supervisors; see {@link LeaderLease}. */
export interface SupervisorLeaderOptions {
  readonly name: string;
  /** @default 15000 */
  readonly ttlMs?: number | undefined;
  readonly holder?: string | undefined;
}

/** Options of a {@link Supervisor}. Durations in milliseconds. */
export interface SupervisorOptions extends HubOptions {
  readonly connection: ConnectionSettings;
  /**
   * The data directory of a server on this machine: its files tell of a promotion a little before the server does.
   * Needs its user's rights; without it the role is polled, which finds a promotion within `rolePollMs`.
   */
  readonly watchPath?: string | undefined;
  /** Bare names of the files that mean a change of role. @default standby.signal, promote, postmaster.pid and more */
  readonly failoverFiles?: readonly string[] | undefined;
  /** Ends gracefully on SIGINT and SIGTERM, at once on the second; `exitCode` is set at the end. @default false */
  readonly handleSignals?: boolean | { readonly exitCode?: number | undefined } | undefined;
  /** How long a run in hand may go on after {@link Supervisor.terminate} or a demotion, before its signal fires. @default 30000 */
  readonly graceMs?: number | undefined;
  /** Runs the processors in one process at a time. @default none: in every process */
  readonly leader?: SupervisorLeaderOptions | undefined;
  /** Gets a line for each change of state and each error. */
  readonly logger?: Logger | undefined;
}

export interface ResolvedSupervisorOptions {
  readonly connection: ConnectionSettings;
  readonly hub: ResolvedHubOptions;
  readonly watch: { readonly path: string; readonly files: readonly string[] } | undefined;
  readonly signals: { readonly exitCode?: number | undefined } | undefined;
  readonly graceMs: number;
  readonly leader: SupervisorLeaderOptions | undefined;
  readonly logger: Logger | undefined;
}

const OWN_KEYS = ['connection', 'watchPath', 'failoverFiles', 'handleSignals', 'graceMs', 'leader', 'logger'] as const;

/** Checks the options and fills in what is missing. @throws InvalidConfigurationError, ConfigurationError */
export function resolveSupervisorOptions(options: SupervisorOptions): ResolvedSupervisorOptions {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidConfigurationError('Supervisor: give { connection }');
  }
  assertKnownKeys(options, [...OWN_KEYS, ...Object.keys(HUB_DEFAULTS)], 'supervisor options');
  const { connection, watchPath, failoverFiles, handleSignals, graceMs = 30_000, leader, logger, ...hub } = options;
  if (typeof connection !== 'object' || connection === null) {
    throw new InvalidConfigurationError('connection: give the settings of the server, at least { host } or { hosts }');
  }
  assertKnownKeys(connection, CONNECTION_SETTING_KEYS, 'connection');
  if (failoverFiles !== undefined && watchPath === undefined) {
    throw new InvalidConfigurationError('failoverFiles: give watchPath too, the directory they are in');
  }
  checkDuration('graceMs', graceMs, 0);
  return {
    connection,
    hub: resolveHubOptions(hub),
    watch: watchPath === undefined ? undefined : { path: watchPath, files: failoverFiles ?? FAILOVER_FILES },
    signals: handleSignals === true ? {} : handleSignals || undefined,
    graceMs,
    leader,
    logger,
  };
}
