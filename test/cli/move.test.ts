import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { hypervault } from '../support/cli.ts';
import { waitFor } from '../support/wait-for.ts';

/** `hypervault dev` with a server that is empty yet; its configuration file. */
async function devServers(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'cli-move-'));
  const file = join(directory, 'hypervault.yaml');
  const args = ['--import', 'tsx', 'src/cli/main.ts', 'dev', '--servers', '2', '--empty', '1', '--shards', '4'];
  const child = spawn(process.execPath, [...args, '--write', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  const over = new Promise((resolve) => child.once('exit', resolve));
  onTestFinished(async () => {
    child.kill('SIGTERM');
    await over;
    await rm(directory, { recursive: true, force: true });
  });
  let said = '';
  child.stderr.on('data', (text: Buffer) => {
    said += text.toString();
  });
  await waitFor(() => /running with 4 shards/.test(said), { timeoutMs: 40_000, what: 'the servers' });
  expect(await readFile(file, 'utf8')).toMatch(/shards: live/);
  return file;
}

test('shards move by commands: dry run, progress, list, finish, back, with exit codes', {
  timeout: 90_000,
}, async () => {
  const config = await devServers();
  const run = (...words: string[]) => hypervault([...words, '--config', config]);
  const key = (await run('put', '2', '1', 'beep=boop')).stdout.trim();

  for (const words of [
    ['move', '1-3'],
    ['move', '--to', 'server2'],
    ['move', '1-3', '--to', 'server2', '--abort'],
  ]) {
    expect((await run(...words)).exitCode).toBe(2);
  }
  expect((await run('move', '1', '--to', 'server2')).stderr).toMatch(/for one shard write '1-2'/);
  const refused = await run('move', '1-3', '--to', 'server2', '--dry-run');
  expect(refused).toMatchObject({ exitCode: 1, stderr: 'shards: 1 2\n' });
  expect(refused.stdout).toMatch(/2 +server1 +server2 +nobody but its owner may use shard0002/);
  const plan = await run('move', '1-3', '--to', 'server2', '--dry-run', '--accept-stale-reads', '--json');
  expect(plan).toMatchObject({ exitCode: 0 });
  expect(plan.json()).toEqual(
    [1, 2].map((shardId) => ({ shardId, source: 'server1', target: 'server2', problems: [] })),
  );

  const moved = await run('move', '1-3', '--to', 'server2', '--accept-stale-reads');
  expect(moved).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/2 +server1 +server2 +moved/) });
  expect(moved.stderr).toMatch(/shard 2 server1 → server2: open, writers waited \d+ ms/);
  expect((await run('get', key)).stdout).toMatch(/beep/);
  const again = await run('move', '2-3', '--to', 'server1', '--accept-stale-reads');
  expect(again).toMatchObject({
    exitCode: 1,
    stderr: expect.stringMatching(/its way back is kept; end that with.*--finish/),
  });

  expect((await run('move', '--revert', '2-3')).stdout).toMatch(/reverted/);
  expect((await run('move', '--finish')).stdout).toMatch(/1 +server1 +server2 +finished/);
  const list = await run('move', '--list', '--json');
  expect(list.json()).toMatchObject([
    { shard: 2, state: 'reverted' },
    { shard: 1, state: 'finished' },
  ]);
  expect((await run('map', 'show', '--json')).json()).toEqual([
    { epoch: '4', servers: { server1: '2-5', server2: '1-2' } },
  ]);
  expect(await run('janitor', '--remove')).toMatchObject({ exitCode: 0, stderr: 'nothing is left over\n' });
  expect((await run('fsck')).exitCode).toBe(0);
  expect((await run('move', '--resume', '1-2')).stderr).toMatch(/nothing to resume: shard 1 has no move/);
});
