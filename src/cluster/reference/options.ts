import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ConnectionSettings } from '../../core/index.ts';
import { ConfigurationError } from '../../errors.ts';
import { assertKnownKeys } from '../../internal/known-keys.ts';
import { readSqlFolder, type SqlFile } from '../../internal/sql-files.ts';
import { unknownServer } from '../../internal/unknown-server.ts';

/** How reference tables are kept. */
export interface ReferenceOptions {
  /** The server whose tables take writes. */
  readonly home: string;
  /** The schema they are in, on every server. @default 'reference' */
  readonly schema?: string | undefined;
  /** How servers reach each other, where that differs from how this program does. @default as `servers` */
  readonly between?: Readonly<Record<string, ConnectionSettings>> | undefined;
  /** Longest wait for the copies to be there. @default 60000 */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How reference tables are made and brought up to date. */
export interface SyncReferencesOptions extends ReferenceOptions {
  /** The folder with `001-name.sql`, `002-….sql`: the tables, made the same on every server. */
  readonly directory: string;
}

const KEYS = ['home', 'schema', 'between', 'timeoutMs', 'signal', 'directory'];

/** {@link ReferenceOptions} with every default in place. */
export type ResolvedReferenceOptions = ReferenceOptions & { readonly schema: string; readonly timeoutMs: number };

/** @throws ConfigurationError for an unknown key, a home nobody knows, a schema that is no plain name */
export function resolveReferenceOptions(
  servers: Readonly<Record<string, ConnectionSettings>>,
  options: ReferenceOptions,
): ResolvedReferenceOptions {
  assertKnownKeys(options, KEYS, 'reference options');
  const { home, schema = 'reference', timeoutMs = 60_000 } = options;
  if (servers[home] === undefined) throw unknownServer('reference tables, home', home, Object.keys(servers));
  if (!/^[a-z_][a-z0-9_]{0,40}$/.test(schema)) {
    throw new ConfigurationError(
      `reference tables: schema must be lower-case letters, digits and _, at most 41, not ${JSON.stringify(schema)}`,
    );
  }
  if (!(timeoutMs > 0)) throw new ConfigurationError(`reference tables: timeoutMs must be above 0, not ${timeoutMs}`);
  return { ...options, schema, timeoutMs };
}

/** @throws ConfigurationError for a folder without files */
export async function referenceFiles(directory: string): Promise<readonly SqlFile[]> {
  const files = await readSqlFolder(pathToFileURL(`${resolve(directory)}/`), directory);
  if (files.length > 0) return files;
  throw new ConfigurationError(`${directory} holds no files; name them 001-what.sql`);
}
