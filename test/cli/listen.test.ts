import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { notify } from '../../src/listen/index.ts';
import { type CliResult, hypervault } from '../support/cli.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { waitFor } from '../support/wait-for.ts';

const urlOf = ({ connection: { user, password, port, database } }: TestDatabase): string =>
  `postgres://${user}:${password}@127.0.0.1:${port}/${database}`;

async function scratchFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hypervault-listen-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

/** Runs the command, and sends the payloads when it listens. */
async function listenTo(
  database: TestDatabase,
  args: string[],
  payloads: string[],
  signal = new AbortController().signal,
): Promise<CliResult> {
  const url = `${urlOf(database)}?application_name=cli`;
  const running = hypervault(['listen', 'jobs', '--url', url, ...args], {
    signal,
    environment: { PATH: process.env.PATH! },
  });
  await waitFor(
    async () =>
      (await database.query(`select from pg_stat_activity where application_name = 'cli' and query like 'listen%'`))
        .rowCount,
    { what: 'the command to listen' },
  );
  const client = await database.client();
  for (const payload of payloads) await notify(client, 'jobs', payload);
  return running;
}

test('each payload is a line', async () => {
  const { exitCode, stdout } = await listenTo(await freshDatabase(), ['--count', '3'], ['a', 'b b', '']);
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: 'a\nb b\n\n' });
});

test('as JSON with channel and sender', async () => {
  const { json } = await listenTo(await freshDatabase(), ['--count', '1', '--json'], ['x\ny']);
  expect(json()).toMatchObject([{ channel: 'jobs', payload: 'x\ny', processId: expect.any(Number) }]);
});

test('a command gets the payloads on its standard input, first at the start without any', async () => {
  const command = 'echo "$HYPERVAULT_CHANNEL $HYPERVAULT_REASON: $(cat)"';
  const { stdout } = await listenTo(await freshDatabase(), ['--count', '1', '--exec', command], ['one']);
  expect(stdout).toBe('jobs start: \njobs notification: one\n');
});

test('a command that fails gets the same payloads again', async () => {
  const mark = join(await scratchFolder(), 'failed-once');
  const command = `read job; echo "got $job"; if [ ! -e ${mark} ]; then touch ${mark}; exit 3; fi`;
  const args = ['--count', '1', '--no-fire-on-start', '--exec', command];
  const { stdout, stderr } = await listenTo(await freshDatabase(), args, ['job']);
  expect(stdout).toBe('got job\ngot job\n');
  expect(stderr).toMatch(/the command ended with exit code 3/);
});

test.each([
  ['skip', 0],
  ['stop', 1],
])('--on-failure %s', async (what, expected) => {
  const args = ['--count', '1', '--no-fire-on-start', '--on-failure', what, '--exec', 'exit 7'];
  const { exitCode, stderr } = await listenTo(await freshDatabase(), args, ['job']);
  expect(exitCode).toBe(expected);
  expect(stderr).toMatch(/exit code 7/);
});

test('it ends with its signal, after the command in hand', async () => {
  const stop = new AbortController();
  const mark = join(await scratchFolder(), 'started');
  const args = ['--no-fire-on-start', '--exec', `touch ${mark}; sleep 0.2; echo done`];
  const running = listenTo(await freshDatabase(), args, ['job'], stop.signal);
  await waitFor(() => existsSync(mark));
  stop.abort();
  const { exitCode, stdout } = await running;
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: 'done\n' });
});

test.each([
  [['listen'], /channel/],
  [['listen', 'x'.repeat(64), '--url', 'postgres://h/d'], /64 bytes/],
  [['listen', 'jobs'], /--config/],
  [['listen', 'jobs', '--url', 'postgres://h/d', '--server', 'a'], /one of them/],
  [['listen', 'jobs', '--url', 'postgres://h/d', '--on-failure', 'cry'], /retry, skip, stop/],
  [['listen', 'jobs', '--url', 'nonsense'], /not a Postgres URL/],
])('%j is wrong use', async (args, message) => {
  const { exitCode, stderr } = await hypervault(args);
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(message);
});
