import { execFile } from 'node:child_process';
import { readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { withSession } from './ask.ts';
import type { Binaries } from './binaries.ts';
import type { EmbeddedConnection } from './connection.ts';
import { DataDirectory, ENVIRONMENT } from './data-directory.ts';
import { identityFor, type ServerUser } from './server-user.ts';

const run = promisify(execFile);

/** The first version whose low-level backup has the functions' names of today. */
const LOW_LEVEL_BACKUP = 15;

/** Whether a server's data can be copied while it runs. @param connection - `undefined` when it can't be asked */
export function canCopyRunning(
  { version }: Binaries,
  connection: EmbeddedConnection | undefined,
): connection is EmbeddedConnection {
  return version >= LOW_LEVEL_BACKUP && connection !== undefined;
}

/** Copies the data of a server that is stopped, for a standby. */
export async function copyCold(
  from: DataDirectory,
  name: string,
  user: ServerUser | undefined,
): Promise<DataDirectory> {
  return wholeOrNot(from, name, user, (copy) => copyFiles(from.data, copy.data, user));
}

/**
 * Copies the data of a server that runs and is written to, for a standby: Postgres' own low-level backup (version 15 and
 * later), as pg_basebackup does it, which the packages from npm lack. The log written meanwhile makes the copy whole.
 */
export async function copyRunning(
  from: DataDirectory,
  name: string,
  { user, connection }: { user: ServerUser | undefined; connection: EmbeddedConnection },
): Promise<DataDirectory> {
  return wholeOrNot(from, name, user, (copy) =>
    withSession(connection, async (client) => {
      // Ends with the session; until then no log is thrown away that the copy needs.
      const slot = `hypervault_copy_${process.pid}_${name.replaceAll(/\W/g, '_')}`.toLowerCase();
      await client.query('select pg_create_physical_replication_slot($1, true, true)', [slot]);
      await client.query('select pg_backup_start($1, true)', [name]);
      await copyFiles(from.data, copy.data, user);
      // Last, so that it is not older than what it speaks of.
      await copyFiles(join(from.data, 'global', 'pg_control'), join(copy.data, 'global', 'pg_control'), user);
      const { rows } = await client.query<{ labelfile: string }>('select labelfile from pg_backup_stop(false)');
      const log = join(copy.data, 'pg_wal');
      await rm(log, { recursive: true });
      await copyFiles(join(from.data, 'pg_wal'), log, user);
      for (const file of ['postmaster.pid', 'postmaster.opts']) await rm(join(copy.data, file), { force: true });
      await copy.write(join(copy.data, 'backup_label'), rows[0]!.labelfile);
    }),
  );
}

/** What was not copied to its end does not stay: the next start would take it for a server. */
async function wholeOrNot(
  from: DataDirectory,
  name: string,
  user: ServerUser | undefined,
  fill: (copy: DataDirectory) => Promise<void>,
): Promise<DataDirectory> {
  const copy = new DataDirectory(name, join(dirname(from.folder), name), user);
  await copy.make();
  try {
    await fill(copy);
    await dropSlots(copy);
    return copy;
  } catch (error) {
    await rm(copy.folder, { recursive: true, force: true });
    throw error;
  }
}

/** As the server's user, so that what is made belongs to it. */
async function copyFiles(from: string, to: string, user: ServerUser | undefined): Promise<void> {
  try {
    await run('cp', ['-Rp', from, to], { cwd: '/', env: ENVIRONMENT, ...identityFor(user) });
  } catch (error) {
    // A server that runs takes files away while they are copied; what it took away the copy does not need.
    const lines = (error as { stderr?: string }).stderr?.trim().split('\n') ?? [];
    if (lines.length === 0 || !lines.every((line) => line.endsWith('No such file or directory'))) throw error;
  }
}

/** Slots hold back the log for those who read from the original; here they would do so for nobody, for ever. */
async function dropSlots({ data }: DataDirectory): Promise<void> {
  const slots = join(data, 'pg_replslot');
  for (const slot of await readdir(slots)) await rm(join(slots, slot), { recursive: true, force: true });
}
