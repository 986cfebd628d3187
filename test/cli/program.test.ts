import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.ts';
import { hypervault } from '../support/cli.ts';

describe('hypervault', () => {
  it('lists its commands without loading them', async () => {
    const { exitCode, stdout } = await hypervault(['--help']);
    expect(exitCode).toBe(0);
    for (const { name } of COMMANDS) expect(stdout).toMatch(new RegExp(`^ {2}${name}\\b`, 'm'));
  });

  it.each(COMMANDS.map(({ name }) => name))('%s has --help and --json', async (name) => {
    for (const args of [
      [name, '--help'],
      ['help', name],
    ]) {
      const { exitCode, stdout, stderr } = await hypervault(args);
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
      expect(stdout).toContain(`Usage: hypervault ${name}`);
      expect(stdout).toContain('--json');
    }
  });

  it('prints its version', async () => {
    expect((await hypervault(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+/);
  });

  it.each([
    [['decod'], /^hypervault: unknown command 'decod' \(Did you mean decode\?\)\n$/],
    [['decode', '--josn'], /^hypervault: unknown option '--josn' \(Did you mean --json\?\)\n$/],
    [['decode', '--epoch'], /option '--epoch <time>' argument missing/],
    [[], /name a command/],
    [['drop; table'], /unknown command/],
  ])('says what is wrong with %j and ends with 2', async (args, message) => {
    const { exitCode, stdout, stderr } = await hypervault(args);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toMatch(message);
  });

  it('says it in JSON when asked', async () => {
    const { exitCode, stderr } = await hypervault(['decod', '--json']);
    expect(exitCode).toBe(2);
    expect(JSON.parse(stderr)).toEqual({
      error: { code: 'USAGE', message: "unknown command 'decod' (Did you mean decode?)", retryable: false },
    });
  });

  it('runs as a program', async () => {
    const main = ['--import', 'tsx', 'src/cli/main.ts'];
    const { stdout } = await promisify(execFile)(process.execPath, [...main, 'decode', '1', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ id: '1', addedId: 1 });

    // A reader that has seen enough is no failure.
    const child = spawn(process.execPath, [...main, 'decode'], { stdio: ['pipe', 'pipe', 'pipe'] });
    const failures: Buffer[] = [];
    child.stderr.on('data', (chunk: Buffer) => failures.push(chunk));
    child.stdin.on('error', () => {});
    child.stdout.once('data', () => child.stdout.destroy());
    const feed = setInterval(() => child.stdin.write('1\n'.repeat(100)), 5);
    const exitCode = await new Promise((resolve) => child.once('close', resolve));
    clearInterval(feed);
    expect(Buffer.concat(failures).toString()).toBe('');
    expect(exitCode).toBe(0);
  });
});
