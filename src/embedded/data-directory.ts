import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { HypervaultError } from '../errors.ts';
import type { Binaries } from './binaries.ts';
import type { ServerUser } from './server-user.ts';

const run = promisify(execFile);

/** The superuser of every embedded server. */
export const SUPERUSER = 'postgres';

/** A folder with the data of one server, its log and its password. */
export interface DataDirectory {
  readonly folder: string;
  readonly data: string;
  readonly logFile: string;
  readonly password: string;
}

/** Makes the folder of a server, or finds the one of an earlier start. */
export async function openDataDirectory(
  folder: string,
  binaries: Binaries,
  user: ServerUser | undefined,
): Promise<DataDirectory> {
  const data = join(folder, 'data');
  const passwordFile = join(folder, 'password');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (user !== undefined) await chown(folder, user.uid, user.gid);
  const exists = await access(join(data, 'PG_VERSION')).then(
    () => true,
    () => false,
  );
  if (!exists) {
    await writeFile(passwordFile, randomBytes(18).toString('base64url'), { mode: 0o600 });
    if (user !== undefined) await chown(passwordFile, user.uid, user.gid);
    await initialise(data, passwordFile, binaries, user);
  }
  return { folder, data, logFile: join(folder, 'log'), password: (await readFile(passwordFile, 'utf8')).trim() };
}

async function initialise(
  data: string,
  passwordFile: string,
  { initdb }: Binaries,
  user: ServerUser | undefined,
): Promise<void> {
  // Passwords are real ones: logical replication without a superuser insists on them.
  const words = ['-D', data, '-U', SUPERUSER, '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '-E', 'UTF8'];
  try {
    await run(initdb, [...words, '--locale=C.UTF-8', '--no-sync'], {
      cwd: '/',
      ...(user !== undefined && { uid: user.uid, gid: user.gid }),
    });
  } catch (cause) {
    const { stderr = '' } = cause as { stderr?: string };
    throw new HypervaultError('EMBEDDED', `initdb failed in ${data}: ${stderr.trim() || String(cause)}`, { cause });
  }
}
