import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigurationError } from '../errors.ts';
import { sleep } from '../internal/sleep.ts';
import type { DataDirectory } from './data-directory.ts';
import { disownPostmasterFile, readPostmasterFile } from './postmaster-file.ts';
import { commandLineOf, identityOf, isAlive, sendSignal } from './processes.ts';

/**
 * Clears away what an earlier run left in a kept folder, before the server is started:
 * a server whose process died without its guard is stopped; a postmaster.pid whose number means another process today
 * is made harmless.
 *
 * @throws ConfigurationError when the server is in use by a process that lives
 */
export async function clearFormerServer(directory: DataDirectory): Promise<void> {
  const former = await readPostmasterFile(directory.data);
  if (former === undefined || !(await isAlive(former.pid))) return;
  if (!(await commandLineOf(former.pid)).includes(directory.data)) return disownPostmasterFile(directory.data);
  const owner = await livingOwner(directory);
  if (owner !== undefined) {
    throw new ConfigurationError(
      `startEmbedded: ${directory.folder} is in use by process ${owner}; stop that one, or give another directory`,
    );
  }
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    sendSignal(former.pid, signal);
    const deadline = performance.now() + 10_000;
    while (performance.now() < deadline) {
      if (!(await isAlive(former.pid))) return;
      await sleep(10);
    }
  }
}

/** Notes that this process runs the server of the folder. */
export async function claim(directory: DataDirectory): Promise<void> {
  const owner = { pid: process.pid, identity: await identityOf(process.pid) };
  await directory.write(join(directory.folder, 'owner.json'), `${JSON.stringify(owner)}\n`);
}

async function livingOwner({ folder }: DataDirectory): Promise<number | undefined> {
  const text = await readFile(join(folder, 'owner.json'), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const owner = JSON.parse(text) as { pid: number; identity?: string };
  return (await isAlive(owner.pid)) && (await identityOf(owner.pid)) === owner.identity ? owner.pid : undefined;
}
