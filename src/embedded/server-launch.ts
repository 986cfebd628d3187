import type { Binaries } from './binaries.ts';
import type { EmbeddedConnection } from './connection.ts';
import type { DataDirectory } from './data-directory.ts';
import type { Guard } from './guard.ts';
import type { ResolvedEmbeddedOptions } from './options.ts';
import { type Patience, type ServerRun, untilTrue } from './patience.ts';
import { Postmaster } from './postmaster.ts';
import { readPostmasterFile } from './postmaster-file.ts';
import type { ServerUser } from './server-user.ts';
import { settingsFor } from './settings.ts';

/** What a server is started with. */
export interface LaunchParts {
  readonly binaries: Binaries;
  readonly user: ServerUser | undefined;
  readonly options: ResolvedEmbeddedOptions;
  readonly guard: Guard;
}

/** Writes the settings and starts the first process; whether the server comes up is {@link untilReady}'s to see. */
export async function launch(
  directory: DataDirectory,
  { binaries, user, options, guard }: LaunchParts,
  {
    port,
    follows,
  }: { port: number; follows: { readonly name: string; readonly primary: EmbeddedConnection } | undefined },
): Promise<ServerRun> {
  await directory.configure({
    ...settingsFor(binaries.version),
    ...options.settings,
    ...(follows !== undefined && { primary_conninfo: conninfo(follows.name, follows.primary) }),
    port,
  });
  const logStart = await directory.logSize();
  const postmaster = await Postmaster.start(binaries.postgres, directory, user, guard);
  return { directory, postmaster, logStart };
}

/**
 * Waits until the server takes connections, or as a standby that can't be read (`blind`) has begun to replay.
 *
 * @throws EmbeddedServerError with the server's own words
 */
export async function untilReady(
  run: ServerRun,
  { blind, ...patience }: Patience & { readonly blind: boolean },
): Promise<void> {
  const enough = blind ? ['ready', 'standby'] : ['ready'];
  // `pg_ctl -w` waits in the same way; the line "ready to accept connections" in the log comes later or never.
  const ready = async (): Promise<boolean> => {
    const file = await readPostmasterFile(run.directory.data);
    return file?.pid === run.postmaster.pid && enough.includes(file.status);
  };
  await untilTrue(ready, run, 'did not start', patience);
}

function conninfo(name: string, { host, port, user, password }: EmbeddedConnection): string {
  return `host=${host} port=${port} user=${user} password=${password} application_name=${name}`;
}
