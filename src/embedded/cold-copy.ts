import { execFile } from 'node:child_process';
import { readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { DataDirectory } from './data-directory.ts';
import { identityFor, type ServerUser } from './server-user.ts';

const run = promisify(execFile);

/** Copies the data of a server that is stopped, for a standby. */
export async function copyCold(
  from: DataDirectory,
  name: string,
  user: ServerUser | undefined,
): Promise<DataDirectory> {
  const copy = new DataDirectory(name, join(dirname(from.folder), name), user);
  await copy.make();
  // As the server's user, so that what is made belongs to it.
  await run('cp', ['-Rp', from.data, copy.data], { cwd: '/', ...identityFor(user) });
  // Slots hold back WAL for those who read from the original; here they would do so for nobody, for ever.
  const slots = join(copy.data, 'pg_replslot');
  for (const slot of await readdir(slots)) await rm(join(slots, slot), { recursive: true, force: true });
  return copy;
}
