// The guide of docs/kv.md, as a newcomer would go through it: its program, its commands and its calls, word by word.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../src/embedded/index.ts';
import { PROJECT, requireBuild } from '../support/built.ts';
import { waitFor } from '../support/wait-for.ts';

const page = await readFile(join(PROJECT, 'docs/kv.md'), 'utf8');

/** The block behind its mark. */
function block(name: string): string {
  const text = new RegExp(`<!-- ${name} -->\n\`\`\`\\w+\n([^]*?)\`\`\``).exec(page)?.[1];
  if (text === undefined) throw new Error(`docs/kv.md has no block ${name}`);
  return text;
}

async function started(folder: string, program: string): Promise<{ child: ChildProcess; printed: () => string }> {
  await writeFile(join(folder, 'settings.mjs'), program);
  const child = spawn(process.execPath, ['settings.mjs'], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
  }
  onTestFinished(async () => {
    const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
    child.kill('SIGTERM');
    await ended;
  });
  await waitFor(() => text.includes('serving') || child.exitCode !== null, { timeoutMs: 60_000 });
  return { child, printed: () => text };
}

test('the guide works as it is written', { timeout: 120_000 }, async () => {
  requireBuild();
  const folder = await mkdtemp(join(tmpdir(), 'kv-guide-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, 'node_modules'));
  await symlink(PROJECT, join(folder, 'node_modules/pg-hypervault'));
  const port = String(await freePort());
  // Of all the text nothing but the port is another; the program's own calls come behind it, when they are told to.
  const program = block('settings.mjs').replace('8080', port);
  const calls = `process.stdin.resume();\nprocess.on('SIGUSR2', async () => {\n${block('program')}console.log('all done');\n});\n`;
  const { child, printed } = await started(folder, program + calls);
  expect(printed()).toBe(
    `serving http://127.0.0.1:${port}/diary; in a browser: http://127.0.0.1:${port}/diary/-/page\n`,
  );

  const npx = `npx() { shift; "${process.execPath}" "${join(PROJECT, 'dist/cli/main.js')}" "$@"; }\n`;
  const commands = block('commands').replace('8080', port);
  const words = ['-euc', `${npx}exec < <(yes yes)\n${commands}`];
  const environment = { ...process.env, EDITOR: 'sed -i s/5/7/' };
  const { stdout, stderr } = await promisify(execFile)('bash', words, { cwd: folder, env: environment });
  expect(stderr).toBe('');
  expect(stdout).toContain(
    `limits\t2\thttp://127.0.0.1:${port}/diary/limits/2\n{"max":9}\n--- limits 1\n+++ limits 2\n`,
  );
  expect(stdout).toContain('limits: version 1 is back in place of 2, as version 3');
  expect(stdout).toMatch(/^1\tlimits\t1\t.*\ta first value$/m);
  expect(stdout.trim().split('\n').at(-1)).toContain('"version":4');
  await waitFor(() => printed().includes('{ max: 7 }'));

  child.kill('SIGUSR2');
  await waitFor(() => printed().includes('all done'));
  // Of two changes right behind each other a mirror may show only what came of them.
  await waitFor(() => /\{ max: 7 \}\n.*limits = \{ max: 5 \}\n/s.test(printed()));
  const answer = await fetch(`http://127.0.0.1:${port}/diary/-/page`);
  expect(await answer.text()).toContain('<title>Settings</title>');
});
