// The first steps of README.md, as a newcomer would go: its commands and its program, word by word, with the built package.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { PROJECT, requireBuild } from './support/built.ts';
import { waitFor } from './support/wait-for.ts';

const page = await readFile(join(PROJECT, 'README.md'), 'utf8');
const MAIN = join(PROJECT, 'dist/cli/main.js');

/** What a mark stands before. */
function block(name: string): string {
  const text = new RegExp(`<!-- ${name} -->\n\`\`\`\\w+\n([^]*?)\`\`\``).exec(page)?.[1];
  if (text === undefined) throw new Error(`README.md has no block ${name}`);
  return text;
}

test('the first steps work as they are written', { timeout: 120_000 }, async () => {
  requireBuild();
  const folder = await mkdtemp(join(tmpdir(), 'first-steps-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, 'node_modules'));
  await symlink(PROJECT, join(folder, 'node_modules/pg-hypervault'));

  const [, dev] = /^npx hypervault (dev .*?) *#/m.exec(page) ?? [];
  const servers = spawn(process.execPath, [MAIN, ...dev!.split(/\s+/)], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  servers.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    said += chunk;
  });
  onTestFinished(async () => {
    const ended = servers.exitCode === null ? once(servers, 'exit') : undefined;
    servers.kill('SIGINT');
    await ended;
  });
  await waitFor(() => said.includes('Ctrl-C') || servers.exitCode !== null, { timeoutMs: 60_000, what: 'dev' });

  await writeFile(join(folder, 'first.mjs'), block('first.mjs'));
  const npx = `npx() { shift; "${process.execPath}" "${MAIN}" "$@"; }\n`;
  const { stdout } = await promisify(execFile)('bash', ['-euc', npx + block('commands')], { cwd: folder });
  expect(stdout).toMatch(/tenant: 'acme',\s+total: '12.50'/);
  expect(stdout).toContain("[ { tenant: 'acme', sum: '25.00' } ]");
  expect(stdout).toContain("body: { beep: 'boop' }");
  expect(stdout).toMatch(/^ +6 +server3 +server3 /m);
  expect(stdout).toMatch(/^ +9 +server2 +server2 /m);
});
