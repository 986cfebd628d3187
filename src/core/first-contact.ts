import type { Client } from 'pg';
import { PermissionError, SchemaError } from '../errors.ts';
import { readSqlScope } from '../internal/sql-files.ts';
import { SQLSTATE, sqlStateOf } from '../internal/sqlstate.ts';

/** What a program expects of a server. What is not given is not compared. */
export interface ExpectedSettings {
  /** Ms since 1970. */
  readonly epoch: number;
  readonly schemaPrefix: string;
  readonly slots?: number | undefined;
  readonly firstShard?: number | undefined;
  /** Modules that must be installed. @default ['core'] */
  readonly modules?: readonly string[] | undefined;
}

/** Where a module's schema stands: `release` counts incompatible steps, `version` is its last numbered file. */
export interface SchemaVersion {
  readonly release: number;
  readonly version: number;
}

/** What was fixed when a server was installed, and what is installed on it. */
export interface ServerSettings {
  /** False for a database made by the original tool that no `install` has taken over yet. */
  readonly installed: boolean;
  /** Ms since 1970. */
  readonly epoch: number;
  readonly slots: number | undefined;
  readonly firstShard: number | undefined;
  readonly schemaPrefix: string;
  /** By module, then by scope: `server`, `control`. */
  readonly modules: Readonly<Record<string, Readonly<Record<string, SchemaVersion>>>>;
}

/**
 * Reads what was fixed at install and compares it with what the program expects, before anything else is asked of a
 * server: another epoch would give wrong dates, other slots another home to every routing key.
 *
 * @param server - its name, for messages
 * @throws SchemaError when the server is not installed, too old, too new, or was installed with other settings;
 *   PermissionError when the role may not look
 */
export async function checkServer(client: Client, expected: ExpectedSettings, server: string): Promise<ServerSettings> {
  const settings = await readServerSettings(client, server);
  if (settings === undefined) return await originalTool(client, expected, server);
  for (const name of ['epoch', 'schemaPrefix', 'slots', 'firstShard'] as const) {
    const [wanted, fixed] = [expected[name], settings[name]];
    if (wanted === undefined || wanted === fixed || (fixed === undefined && name !== 'epoch')) continue;
    throw new SchemaError(
      `${server}: ${name} is ${JSON.stringify(wanted)} here and ${JSON.stringify(fixed)} on the server, where it was fixed at install; set ${name} to that`,
    );
  }
  for (const module of expected.modules ?? ['core']) await checkRelease(module, settings, server);
  return settings;
}

/** The settings of an installed server, or `undefined` when it is not installed. */
export async function readServerSettings(client: Client, server: string): Promise<ServerSettings | undefined> {
  let rows: DescribeRow[];
  try {
    rows = (await client.query<DescribeRow>('select * from hypervault.describe()')).rows;
  } catch (cause) {
    switch (sqlStateOf(cause)) {
      case SQLSTATE.invalidSchemaName:
      case SQLSTATE.undefinedFunction:
        return undefined;
      case SQLSTATE.insufficientPrivilege:
        throw new PermissionError(
          `${server}: ${(cause as Error).message}; run sql/core/server/grants.sql for this role, or install with grantTo`,
          { cause },
        );
      default:
        throw cause;
    }
  }
  const row = rows[0];
  if (row === undefined) return undefined;
  return {
    installed: true,
    epoch: Number(row.epoch),
    slots: row.slots ?? undefined,
    firstShard: row.first_shard ?? undefined,
    schemaPrefix: row.prefix,
    modules: row.modules ?? {},
  };
}

interface DescribeRow {
  readonly epoch: string;
  readonly slots: number | null;
  readonly first_shard: number | null;
  readonly prefix: string;
  readonly modules: ServerSettings['modules'] | null;
}

/** The program of release N works on schemas of N and N − 1. */
async function checkRelease(module: string, settings: ServerSettings, server: string): Promise<void> {
  const files = await readSqlScope(module, 'server');
  if (files.length === 0) return;
  const ours = Math.max(...files.map(({ release }) => release));
  const theirs = settings.modules[module]?.server?.release;
  if (theirs === undefined) {
    throw new SchemaError(`${server}: the module ${module} is not installed; run hypervault init, or install()`);
  }
  if (theirs > ours) {
    throw new SchemaError(
      `${server}: the schema of ${module} is of release ${theirs} and this program knows ${ours}; upgrade pg-hypervault in it`,
    );
  }
  if (theirs < ours - 1) {
    throw new SchemaError(
      `${server}: the schema of ${module} is of release ${theirs} and this program needs ${ours - 1} or ${ours}; run hypervault init, or install()`,
    );
  }
}

/** A database of the original tool is read as it is; nothing in it says which epoch its ids count from. */
async function originalTool(client: Client, expected: ExpectedSettings, server: string): Promise<ServerSettings> {
  const { epoch, schemaPrefix, slots, firstShard } = expected;
  const { rows } = await client.query<{ there: boolean }>(
    `select exists (
       select
       from pg_catalog.pg_class as class
       join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
       where class.relname = 'entities' and namespace.nspname ~ $1
     ) as there`,
    [`^${schemaPrefix}\\d{4}$`],
  );
  if (!rows[0]!.there) {
    throw new SchemaError(`${server}: not installed; run hypervault init, or install() with the same connections`);
  }
  return { installed: false, epoch, slots, firstShard, schemaPrefix, modules: {} };
}
