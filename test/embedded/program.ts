// Programs of their own that start servers: to see what is left when they end, in all the ways a program can end.
import { type ChildProcess, spawn } from 'node:child_process';
import { onTestFinished, vi } from 'vitest';

// Programs compile TypeScript and start servers before they do anything; on a busy machine that takes its time.
vi.setConfig({ testTimeout: 120_000 });

/** What the programs of these tests have to say. */
export interface Said {
  readonly pid: number;
  readonly directory: string;
  readonly found: Record<string, string>;
  readonly [name: string]: unknown;
}

export interface Program {
  readonly child: ChildProcess;
  /** What it printed first, as JSON. */
  readonly said: Promise<Said>;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; errors: string }>;
}

export const EMBEDDED = new URL('../../src/embedded/index.ts', import.meta.url).href;

/** Runs the text of an ES module in TypeScript; killed with the test. */
export function runProgram(
  text: string,
  { env = {}, cwd, uid, gid }: { env?: NodeJS.ProcessEnv; cwd?: string; uid?: number; gid?: number } = {},
): Program {
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', text], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    ...(cwd !== undefined && { cwd }),
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  const ended = new Promise<Awaited<Program['ended']>>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal, errors }));
  });
  const said = new Promise<Said>((resolve, reject) => {
    child.stdout.once('data', (chunk) => resolve(JSON.parse(String(chunk))));
    void ended.then((end) => reject(new Error(`the program ended before it said anything: ${end.errors}`)));
  });
  said.catch(() => {});
  return { child, said, ended };
}
