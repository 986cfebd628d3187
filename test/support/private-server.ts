// A server program of a test's own: runs in a temporary folder as an unprivileged user, and ends with this process.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmod, chown, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Guard, holdGuard } from '../../src/embedded/guard.ts';
import { identityFor, type ServerUser, serverUser } from '../../src/embedded/server-user.ts';
import { waitFor } from './wait-for.ts';

const run = promisify(execFile);

/** Where the program writes its process number. */
export const PID_FILE = 'pid';

/** One program in one folder; see mariadb.ts and pgbouncer.ts for what they put around it. */
export class PrivateServer {
  readonly folder: string;
  readonly #user: ServerUser | undefined;
  readonly #guard: Guard = holdGuard();
  #child: ChildProcess | undefined;

  private constructor(folder: string, user: ServerUser | undefined) {
    this.folder = folder;
    this.#user = user;
    this.#guard.remove(folder);
  }

  static async make(name: string): Promise<PrivateServer> {
    const user = await serverUser();
    const server = new PrivateServer(await mkdtemp(join(tmpdir(), `pg-hypervault-${name}-`)), user);
    await server.#own(server.folder, 0o700);
    return server;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async write(name: string, text: string): Promise<string> {
    const path = join(this.folder, name);
    await writeFile(path, text);
    await this.#own(path, 0o600);
    return path;
  }

  /** Runs a program to its end, as the user of the server. */
  async runOnce(program: string, words: readonly string[]): Promise<void> {
    await run(program, words, { cwd: this.folder, ...identityFor(this.#user) });
  }

  /** Starts the program and waits until `ready` holds. */
  async start(program: string, words: readonly string[], ready: () => Promise<boolean>): Promise<void> {
    if (this.#child !== undefined) return;
    await rm(join(this.folder, PID_FILE), { force: true });
    const log = await open(join(this.folder, 'log'), 'a');
    const child = spawn(program, words, {
      cwd: this.folder,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      ...identityFor(this.#user),
    });
    this.#child = child;
    const forget = (): void => {
      if (this.#child === child) this.#child = undefined;
    };
    child.once('exit', forget);
    child.once('error', forget);
    child.unref();
    // The programs name the folder on their command lines, which is how the guard knows them again.
    if (child.pid !== undefined) this.#guard.watch(child.pid, 'QUIT', this.folder);
    await log.close();
    await waitFor(
      async () => {
        if (this.#child !== child) throw new Error(`${program} ended while starting; its log:\n${await this.log()}`);
        return ready();
      },
      { timeoutMs: 30_000, everyMs: 20, what: `${program} answering` },
    );
  }

  /** SIGTERM, and waits for the end. */
  stop(): Promise<void> {
    return this.#end('SIGTERM');
  }

  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  async remove(): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
    this.#guard.release();
  }

  async log(): Promise<string> {
    return (await readFile(join(this.folder, 'log'), 'utf8').catch(() => '')).slice(-4_000);
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      child.ref();
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill(signal);
      await gone;
    }
    this.#child = undefined;
  }

  async #own(path: string, mode: number): Promise<void> {
    if (this.#user !== undefined) await chown(path, this.#user.uid, this.#user.gid);
    await chmod(path, mode);
  }
}
