// Brings a MySQL server without installing it: Debian's current one with the libraries it was built for, unpacked into
// a folder and run by its own loader, so that nothing of the machine changes. Some 50 MB.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { fetchedMysqld } from '../support/mysqld.ts';

const run = promisify(execFile);

const ARCHIVE = 'https://deb.debian.org/debian';
const INDEX = `${ARCHIVE}/dists/sid/main/binary-amd64/Packages.gz`;
const SERVER = 'mysql-server-core';
/** At most so many downloads side by side. */
const DOWNLOADS = 8;

interface DebianPackage {
  readonly name: string;
  readonly path: string;
  readonly sha256: string;
  /** For each dependency the names that would do. */
  readonly dependencies: readonly (readonly string[])[];
}

/** Downloads and unpacks it, or gives the one that is there. */
export async function fetchMysqld({ signal }: { signal: AbortSignal }): Promise<string> {
  const program = fetchedMysqld();
  if (program.present) return program.path;
  if (process.platform !== 'linux' || process.arch !== 'x64') throw new Error('there is one for Linux on x64 only');
  const folder = dirname(program.path);
  await mkdir(dirname(folder), { recursive: true });
  const making = await mkdtemp(`${folder}-`);
  try {
    const packages = serverAndLibraries(parseIndex(await text(INDEX, signal)));
    const waiting = [...packages];
    const work = async (): Promise<void> => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) await unpack(next, making, signal);
    };
    await Promise.all(Array.from({ length: DOWNLOADS }, work));
    await writeFile(join(making, 'mysqld'), STARTER);
    // Servers of tests run as another user than root
    await chmod(join(making, 'mysqld'), 0o755);
    await chmod(making, 0o755);
    await run(join(making, 'mysqld'), ['--no-defaults', '--version']);
    await rename(making, folder);
  } finally {
    await rm(making, { recursive: true, force: true });
  }
  return program.path;
}

/** The words behind `--no-defaults`, which has to stand first, are ours. */
const STARTER = `#!/bin/sh
root=$(dirname "$0")
libraries=$root/usr/lib/x86_64-linux-gnu
exec "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" "$root/usr/sbin/mysqld" "$@" \\
  --basedir="$root/usr" --plugin-dir="$root/usr/lib/mysql/plugin" --lc-messages-dir="$root/usr/share/mysql"
`;

async function download(url: string, signal: AbortSignal): Promise<Buffer> {
  const response = await fetch(url, { signal });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  return Buffer.from(await response.arrayBuffer());
}

async function text(url: string, signal: AbortSignal): Promise<string> {
  return (await promisify(gunzip)(await download(url, signal))).toString('utf8');
}

function parseIndex(index: string): Map<string, DebianPackage> {
  const found = new Map<string, DebianPackage>();
  for (const paragraph of index.split('\n\n')) {
    const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(paragraph)?.[1] ?? '';
    const name = field('Package');
    if (name !== SERVER && !/^(lib|zlib1g$)/.test(name)) continue;
    const dependencies = [field('Pre-Depends'), field('Depends')]
      .flatMap((list) => list.split(','))
      .map((choice) => choice.split('|').map((one) => one.trim().replace(/[ (:].*/s, '')));
    found.set(name, { name, path: field('Filename'), sha256: field('SHA256'), dependencies });
  }
  return found;
}

/** The server and the libraries below it; programs and data that packages ask for beside them are not needed to run it. */
function serverAndLibraries(index: ReadonlyMap<string, DebianPackage>): DebianPackage[] {
  const wanted = new Map<string, DebianPackage>();
  const want = (choices: readonly string[]): void => {
    const found = choices.map((name) => index.get(name)).find((one) => one !== undefined);
    if (found === undefined || wanted.has(found.name)) return;
    wanted.set(found.name, found);
    for (const dependency of found.dependencies) want(dependency);
  };
  want([SERVER]);
  if (!wanted.has(SERVER)) throw new Error(`${INDEX} has no ${SERVER}`);
  return [...wanted.values()];
}

async function unpack({ name, path, sha256 }: DebianPackage, folder: string, signal: AbortSignal): Promise<void> {
  const bytes = await download(`${ARCHIVE}/${path}`, signal);
  if (createHash('sha256').update(bytes).digest('hex') !== sha256) throw new Error(`${path} came damaged`);
  const file = join(folder, `${name}.deb`);
  await writeFile(file, bytes);
  await run('dpkg-deb', ['--extract', file, folder]);
  await rm(file);
}
