import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';
import { idOf, madeUpHistory } from '../../examples/git-history/history.ts';
import { PROJECT, requireBuild } from '../support/built.ts';

beforeAll(requireBuild);

test('the history that nobody wrote is always the same, each change with an id of its own', () => {
  const changes = madeUpHistory(50);
  expect(changes).toEqual(madeUpHistory(50));
  expect(new Set(changes.map(idOf)).size).toBe(changes.length);
});

test('the demo of streams writes, follows and works off a history, and writes nothing twice', {
  timeout: 60_000,
}, async () => {
  const words = ['--import', 'tsx', join(PROJECT, 'examples/git-history/main.ts'), tmpdir(), '600'];
  const env = { ...process.env, TSX_TSCONFIG_PATH: join(PROJECT, 'tsconfig.build.json') };
  const { stdout } = await promisify(execFile)(process.execPath, words, { cwd: PROJECT, env });
  expect(stdout).toMatch(/^No git history in /);
  expect(stdout).toContain('written:    600 events in ');
  expect(stdout).toContain('followed:   600 events by a live subscription, 0 lost');
  expect(stdout).toContain('worked off: 600 events by two consumers');
  expect(stdout).toContain('once more:  0 events written, 600 known by their ids');
});
