import { chmod, mkdir, mkdtemp, readdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigurationError } from '../errors.ts';
import { canEnter, type ServerUser } from './server-user.ts';

/** Others may pass it, and not look into it: the server's user must reach its own folder. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'pg-hypervault-'));
  await chmod(folder, 0o711);
  return folder;
}

export async function keptFolder(folder: string, user: ServerUser | undefined): Promise<string> {
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

/** `server1`, `server2` …, and the standbys that were made of them at an earlier time. */
export async function serverNames(folder: string, servers: number): Promise<string[]> {
  const names = Array.from({ length: servers }, (_, index) => `server${index + 1}`);
  const standbys = (await readdir(folder)).filter((name) => {
    const [, of] = /^(server\d+)-standby\d+$/.exec(name) ?? [];
    return of !== undefined && names.includes(of);
  });
  return [...names, ...standbys.sort()];
}

/** A name that no standby of the server has had. */
export async function standbyName(folder: string, of: string): Promise<string> {
  const taken = await readdir(folder);
  for (let number = 1; ; number++) {
    const name = `${of}-standby${number}`;
    if (!taken.includes(name)) return name;
  }
}
