import type { ServerSetting } from './options.ts';

/** Settings every embedded server has, unless the caller gives others. */
export function settingsFor(version: number): Readonly<Record<string, ServerSetting>> {
  return {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    timezone: 'UTC',
    log_timezone: 'UTC',
    max_connections: 200,
    // Atomic writes over several shards.
    max_prepared_transactions: 100,
    // Shards move by logical replication, and many at a time.
    wal_level: 'logical',
    max_wal_senders: 20,
    max_replication_slots: 40,
    max_worker_processes: 40,
    max_logical_replication_workers: 20,
    ...(version >= 18 && { max_active_replication_origins: 40 }),
    // Standbys: readable, found again soon after their primary was away, and usable for pg_rewind.
    hot_standby: true,
    wal_retrieve_retry_interval: '200ms',
    wal_keep_size: '256MB',
    wal_log_hints: true,
  };
}

/** Whether a setting is given and means off, in one of the ways Postgres knows. */
export function isOff(value: ServerSetting | undefined): boolean {
  return value !== undefined && /^(off?|f(a(l(se?)?)?)?|no?|0)$/i.test(String(value));
}
