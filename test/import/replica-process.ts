// Runs copy-or-follow-process.ts, and kills it.
import { type ChildProcess, spawn } from 'node:child_process';
import { onTestFinished } from 'vitest';

export interface ReplicaProcess {
  /** Lines it has printed so far. */
  readonly lines: readonly string[];
  /** SIGKILL, and waits for its end. */
  kill(): Promise<void>;
  /** Sends it a signal. */
  signal(signal: NodeJS.Signals): void;
  /** Throws when it has ended by itself with a failure. */
  expectAlive(): void;
  /** Waits for its end; throws when it failed. */
  finished(): Promise<void>;
}

export function startReplicaProcess(
  config: object,
  command: 'init' | 'init-anew' | 'start' | 'detach' | 'switch' | 'back',
): ReplicaProcess {
  const program = new URL('./copy-or-follow-process.ts', import.meta.url).pathname;
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', program, JSON.stringify(config), command], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  let errors = '';
  child
    .stdout!.setEncoding('utf8')
    .on('data', (text: string) => lines.push(...text.split('\n').filter((line) => line !== '')));
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  let failed: number | null = null;
  child.once('exit', (code) => {
    failed = code;
  });
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  onTestFinished(kill);
  return {
    lines,
    kill,
    signal: (signal) => void child.kill(signal),
    expectAlive: () => {
      if (failed !== null && failed !== 0) throw new Error(`the program ended with ${failed}:\n${errors}`);
    },
    finished: async () => {
      const { code, signal } = await ended;
      if (code !== 0) throw new Error(`the program ended with ${code ?? signal}:\n${errors}`);
    },
  };
}
