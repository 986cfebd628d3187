import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { ConfigurationError } from '../errors.ts';

const run = promisify(execFile);

/** The operating system user a server runs as. */
export interface ServerUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** Postgres refuses to run as root, so a process of root's starts it as one of these. */
const CANDIDATES = ['postgres', 'nobody'];

/**
 * The user servers must run as, or `undefined` when they can run as the user we are. It has to exist: initdb looks its
 * name up.
 *
 * @throws ConfigurationError when there is none, and on Windows
 */
export async function serverUser(runAs?: string): Promise<ServerUser | undefined> {
  if (process.platform === 'win32') {
    throw new ConfigurationError(
      'startEmbedded needs POSIX signals and does not run on Windows; use WSL, or a Postgres server of your own',
    );
  }
  if (process.getuid?.() !== 0) {
    if (runAs === undefined) return undefined;
    throw new ConfigurationError('startEmbedded: the option runAs is for processes that run as root');
  }
  for (const name of runAs === undefined ? CANDIDATES : [runAs]) {
    const user = await lookUp(name);
    if (user !== undefined && user.uid !== 0) return user;
  }
  throw new ConfigurationError(
    `startEmbedded: Postgres refuses to run as root, and there is no other user ${runAs ?? CANDIDATES.join(' or ')}; ` +
      'make one with "useradd --system postgres", or name one with the option runAs',
  );
}

/** Through `id`, which also knows users that are not in /etc/passwd. */
async function lookUp(name: string): Promise<ServerUser | undefined> {
  try {
    const [user, group] = await Promise.all([run('id', ['-u', '--', name]), run('id', ['-g', '--', name])]);
    return { name, uid: Number(user.stdout), gid: Number(group.stdout) };
  } catch {
    return undefined;
  }
}

/** What `spawn` takes to run a program as the user. */
export function identityFor(user: ServerUser | undefined): { uid?: number; gid?: number } {
  return user === undefined ? {} : { uid: user.uid, gid: user.gid };
}

/** Whether the user can enter a folder. The kernel is asked; modes alone would not tell (groups, lists of rights). */
export async function canEnter(user: ServerUser | undefined, folder: string): Promise<boolean> {
  try {
    await run('/bin/sh', ['-c', 'cd -- "$1"', 'sh', folder], { cwd: '/', ...identityFor(user) });
    return true;
  } catch {
    return false;
  }
}
