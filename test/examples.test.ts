// Every example runs and prints what its last comment says; the demo runs to its end.
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';
import { PROJECT, requireBuild } from './support/built.ts';
import { freshDatabases } from './support/database.ts';
import { startMariadb } from './support/mariadb.ts';

const run = promisify(execFile);
const FOLDER = join(PROJECT, 'examples');
const examples = readdirSync(FOLDER).filter((name) => name.endsWith('.ts'));

beforeAll(requireBuild);

for (const name of examples) {
  test(`examples/${name} prints what it says`, async ({ skip }) => {
    const mariadb = name === 'import.ts' ? await startMariadb() : null;
    if (mariadb === undefined) skip('there is no MariaDB');
    const databases = await freshDatabases();
    const text = await readFile(join(FOLDER, name), 'utf8');
    const promised = text.slice(text.indexOf('\n// Prints:\n') + 1).trim();
    const servers = JSON.stringify(databases.map(({ connection }) => connection));
    const { stdout, stderr } = await program(join(FOLDER, name), {
      HYPERVAULT_EXAMPLE_SERVERS: servers,
      HYPERVAULT_EXAMPLE_MYSQL: JSON.stringify(mariadb?.connection ?? null),
    });
    expect(stderr).toBe('');
    expect(stdout.trim().split('\n')).toEqual(
      promised
        .split('\n')
        .slice(1)
        .map((line) => line.replace(/^\/\/ ?/, '')),
    );
  });
}

test('the demo ends by itself, in plain lines, with nothing lost', { timeout: 120_000 }, async () => {
  const { stdout } = await program(join(FOLDER, 'demo/main.ts'));
  expect(stdout).toContain('20,000 cities stored');
  expect(stdout).toMatch(/20,000 calls at the same moment took [\d.]+ s; 0 differ/);
  expect(stdout).toMatch(/ rows acknowledged during move and outage: 0 lost/);
  expect(stdout).toContain('Done');
  // Neither colours nor lines that move, when nobody looks.
  expect([...stdout].filter((character) => character === '\r' || character === '\x1b')).toEqual([]);
});

function program(path: string, env: Record<string, string> = {}): Promise<{ stdout: string; stderr: string }> {
  const words = ['--import', 'tsx', path];
  const tsconfig = join(PROJECT, 'tsconfig.build.json');
  return run(process.execPath, words, { cwd: PROJECT, env: { ...process.env, TSX_TSCONFIG_PATH: tsconfig, ...env } });
}
