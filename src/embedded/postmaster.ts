import { type ChildProcess, spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { sleep } from '../internal/sleep.ts';
import { type DataDirectory, ENVIRONMENT } from './data-directory.ts';
import type { Guard } from './guard.ts';
import { childrenOf, isAlive, listProcesses, sendSignal } from './processes.ts';
import { identityFor, type ServerUser } from './server-user.ts';

/**
 * One run of a server: its first process, from the start to the end.
 *
 * Postgres gives each of its processes a session of its own, so signals to a process group reach the first one only;
 * freezing and killing all of them means to look for its children.
 */
export class Postmaster {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #guard: Guard;
  #ended = false;
  #frozen: readonly number[] = [];

  private constructor(child: ChildProcess, pid: number, guard: Guard) {
    this.#child = child;
    this.pid = pid;
    this.#guard = guard;
    child.once('exit', () => {
      this.#ended = true;
    });
  }

  static async start(
    postgres: string,
    directory: DataDirectory,
    user: ServerUser | undefined,
    guard: Guard,
  ): Promise<Postmaster> {
    const log = await open(directory.logFile, 'a', 0o600);
    try {
      const child = spawn(postgres, ['-D', directory.data], {
        cwd: '/',
        env: ENVIRONMENT,
        // Ctrl-C on a terminal reaches the whole process group; when the server ends is the program's to say.
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
        ...identityFor(user),
      });
      await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
      child.unref();
      guard.watch(child.pid!, 'INT', directory.data);
      return new Postmaster(child, child.pid!, guard);
    } finally {
      await log.close();
    }
  }

  get ended(): boolean {
    return this.#ended;
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.#ended) sendSignal(this.pid, signal);
  }

  /** Whether it ended in time. */
  async untilEnded(withinMs: number): Promise<boolean> {
    if (this.#ended) return true;
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#child.off('exit', done);
        resolve(this.#ended);
      };
      const timer = setTimeout(done, withinMs);
      this.#child.once('exit', done);
    });
  }

  /** Stops all processes of the server where they are; sockets stay open, nothing answers. */
  async freeze(): Promise<void> {
    if (this.#ended) return;
    this.#guard.frozen(this.pid);
    sendSignal(this.pid, 'SIGSTOP');
    // Only when the first one has really stopped can it make no further child while we look.
    await this.#untilStopped();
    const children = await childrenOf(this.pid);
    for (const child of children) {
      this.#guard.frozen(child);
      sendSignal(child, 'SIGSTOP');
    }
    this.#frozen = [...children, this.pid];
  }

  thaw(): void {
    for (const pid of this.#frozen) sendSignal(pid, 'SIGCONT');
    this.#frozen = [];
  }

  /** SIGKILL to all processes of the server; returns when none is left. */
  async kill(): Promise<void> {
    if (this.#ended) return;
    await this.freeze();
    const all = this.#frozen;
    this.#frozen = [];
    for (const pid of all) sendSignal(pid, 'SIGKILL');
    for (const pid of all) while (await isAlive(pid)) await sleep(2);
    await this.untilEnded(5_000);
  }

  async #untilStopped(): Promise<void> {
    for (;;) {
      const state = (await listProcesses()).find(({ pid }) => pid === this.pid)?.state ?? 'Z';
      if (/^[TtZX]/.test(state)) return;
      await sleep(1);
    }
  }
}
