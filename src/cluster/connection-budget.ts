import type { ConnectionSettings } from '../core/index.ts';
import { onServer } from './owners.ts';

/** Sessions a fleet of app processes may open on one server, against what the server takes. */
export interface ServerBudget {
  readonly server: string;
  readonly maxConnections: number;
  /** Kept back by the server for superusers and replication. */
  readonly reserved: number;
  /** Processes × `poolMax`, and one listening session for each process. */
  readonly needed: number;
  readonly fits: boolean;
  /** Most processes that fit. */
  readonly maxProcesses: number;
}

/**
 * Counts what the pools of a fleet may open on each server.
 *
 * @example
 * ```ts
 * await connectionBudget({ db1, db2 }, { processes: 12, poolMax: 10 });   // needed: 132 of 200 on each
 * ```
 */
export function connectionBudget(
  servers: Readonly<Record<string, ConnectionSettings>>,
  { processes, poolMax, signal }: { processes: number; poolMax: number; signal?: AbortSignal | undefined },
): Promise<ServerBudget[]> {
  return Promise.all(
    Object.entries(servers).map(([server, connection]) =>
      onServer(
        connection,
        async (client) => {
          const { rows } = await client.query<{ max: number; reserved: number }>(
            `select current_setting('max_connections')::int as max,
                    current_setting('superuser_reserved_connections')::int
                    + coalesce(current_setting('reserved_connections', true)::int, 0) as reserved`,
          );
          const { max, reserved } = rows[0]!;
          const each = poolMax + 1;
          const needed = processes * each;
          const free = max - reserved;
          return {
            server,
            maxConnections: max,
            reserved,
            needed,
            fits: needed <= free,
            maxProcesses: Math.floor(free / each),
          };
        },
        signal,
      ),
    ),
  );
}
