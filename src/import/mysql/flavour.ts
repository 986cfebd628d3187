import type { MysqlSession } from './session.ts';

/** What kind of server the source is, and what follows from it. */
export interface ServerFlavour {
  readonly mariadb: boolean;
  readonly version: string;
  /** Major · 10,000 + minor · 100 + patch, as 101119 for 10.11.19. */
  readonly number: number;
  /** Whether information_schema has check_constraints. */
  readonly checks: boolean;
  /** MySQL 8.4 removed SHOW MASTER STATUS. */
  readonly statusStatement: 'show master status' | 'show binary log status';
  /** Whether the log has the rows that foreign keys change by themselves: MySQL from 9.6 on, unless it is told not to. */
  readonly logsCascades: boolean;
}

/** A server of the source, as places of its log are named by. */
export interface SourceServer {
  readonly flavour: ServerFlavour;
  /** Counts the failovers of the source before it. */
  readonly lineage: bigint;
}

export async function readFlavour(session: MysqlSession): Promise<ServerFlavour> {
  const [row] = await session.query<{ version: string }>('select version() as version');
  const flavour = parseFlavour(row!.version);
  if (!flavour.logsCascades) return flavour;
  const [native] = await session.query<{ Value: string }>("show global variables like 'innodb_native_foreign_keys'");
  return { ...flavour, logsCascades: native?.Value.toUpperCase() !== 'ON' };
}

/** @example parseFlavour('10.11.19-MariaDB-log').number // 101119 */
export function parseFlavour(version: string): ServerFlavour {
  const mariadb = /mariadb/i.test(version);
  const [major = 0, minor = 0, patch = 0] = (/\d+(\.\d+)*/.exec(version)?.[0] ?? '').split('.').map(Number);
  const number = major * 10_000 + minor * 100 + patch;
  return {
    mariadb,
    version,
    number,
    checks: mariadb ? number >= 100_222 : number >= 80_016,
    statusStatement: !mariadb && number >= 80_200 ? 'show binary log status' : 'show master status',
    logsCascades: !mariadb && number >= 90_600,
  };
}
