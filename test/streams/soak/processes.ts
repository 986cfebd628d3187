// Processes of one kind, killed and replaced.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { waitFor } from '../../support/wait-for.ts';

export class Processes {
  readonly lines: string[] = [];
  readonly #program: string;
  readonly #argumentsFor: (life: number) => readonly string[];
  readonly #running: { child: ChildProcess; ready: boolean; closed: Promise<unknown> }[] = [];
  #lives = 0;
  kills = 0;
  /** Processes that ended by themselves. */
  readonly deaths: string[] = [];

  constructor(program: string, argumentsFor: (life: number) => readonly string[]) {
    this.#program = join(import.meta.dirname, program);
    this.#argumentsFor = argumentsFor;
  }

  /** Starts one more, and waits until it says that it is ready. */
  async start(): Promise<void> {
    const life = this.#lives++;
    const words = ['--import', 'tsx', this.#program, ...this.#argumentsFor(life)];
    const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
    const one = { child, ready: false, closed: once(child, 'close') };
    this.#running.push(one);
    child.once('exit', (code, signal) => {
      if (code !== 0 && signal === null) this.deaths.push(`${this.#program} ${life} ended with ${code}`);
    });
    createInterface({ input: child.stdout! }).on('line', (line) => {
      if (line === 'ready') one.ready = true;
      else this.lines.push(line);
    });
    await waitFor(() => one.ready, { timeoutMs: 30_000, what: `${this.#program} being ready` });
  }

  /** SIGKILL for the oldest; another one takes its place. */
  async replaceOldest(): Promise<void> {
    const oldest = this.#running.shift()!;
    this.kills += 1;
    oldest.child.kill('SIGKILL');
    await oldest.closed;
    await this.start();
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const ended = this.#running.splice(0);
    for (const { child } of ended) child.kill(signal);
    await Promise.all(ended.map(({ closed }) => closed));
  }
}
