import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What a running server says of itself in postmaster.pid. */
export interface PostmasterFile {
  readonly pid: number;
  /** `ready`: takes connections, a hot standby too; `standby`: recovers, and does not take any yet. */
  readonly status: 'starting' | 'stopping' | 'ready' | 'standby' | '';
}

/** Reads `data/postmaster.pid`, the same file that `pg_ctl -w` waits on; `undefined` when there is none. */
export async function readPostmasterFile(data: string): Promise<PostmasterFile | undefined> {
  const text = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '');
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  return { pid, status: (lines[7] ?? '').trim() as PostmasterFile['status'] };
}

/**
 * Makes a left-over postmaster.pid harmless whose number another process has today; Postgres would refuse to start.
 * It takes the number of its parent for stale, and goes on to check by the rest of the file that no process of the
 * former server is left. (Removing the file would switch that check off.)
 *
 * A server that ends right now takes its file with it, and then there is nothing to do.
 */
export async function disownPostmasterFile(data: string): Promise<void> {
  const path = join(data, 'postmaster.pid');
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  if (text === undefined) return;
  const [, ...rest] = text.split('\n');
  await writeFile(path, [process.pid, ...rest].join('\n'));
}
