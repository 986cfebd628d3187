import { readFile } from 'node:fs/promises';
import { ConfigurationError } from '../errors.ts';

/** The operating system user a server runs as. */
export interface ServerUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** Postgres refuses to run as root, so a process of root's starts it as one of these. */
const CANDIDATES = ['postgres', 'nobody'];

/** The user servers must run as, or `undefined` when they can run as the user we are. */
export async function serverUser(): Promise<ServerUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const users = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const candidate of CANDIDATES) {
    const [name, , uid, gid] = users.find(([user]) => user === candidate) ?? [];
    if (name !== undefined) return { name, uid: Number(uid), gid: Number(gid) };
  }
  throw new ConfigurationError(
    `Postgres refuses to run as root, and there is no user ${CANDIDATES.join(' or ')}; make one: useradd postgres`,
  );
}
