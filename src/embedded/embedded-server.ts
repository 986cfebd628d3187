import { join } from 'node:path';
import { sleep } from '../internal/sleep.ts';
import { receives, takesWrites } from './ask.ts';
import type { EmbeddedConnection } from './connection.ts';
import { canCopyRunning, copyCold, copyRunning } from './copy-data.ts';
import { type DataDirectory, type ServerFacts, SUPERUSER } from './data-directory.ts';
import { EmbeddedServerError } from './errors.ts';
import { claim, clearFormerServer } from './former-server.ts';
import { freePort, isFree } from './free-port.ts';
import { type ServerRun, serverError, untilTrue } from './patience.ts';
import { type LaunchParts, launch, untilReady } from './server-launch.ts';
import { isOff } from './settings.ts';

/** `fast` ends sessions, `smart` waits for them to end, `immediate` is a crash that recovers at the next start. */
export type StopMode = 'smart' | 'fast' | 'immediate';

const STOP_SIGNAL = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const;

/** What all servers of one {@link startEmbedded} share. @internal */
export interface ServerParts extends LaunchParts {
  /** A free name for a standby of the server. */
  standbyName(of: string): Promise<string>;
  /** Puts a standby among the servers that are stopped together. */
  adopt(standby: EmbeddedServer): void;
}

/** Another process was faster with the port. */
const PORT_TAKEN = /Address already in use/;
/** Processes of a server that was killed from outside need a moment to notice. */
const NOT_QUITE_GONE = /shared memory block .* is still in use|lock file "postmaster.pid" already exists/;

/**
 * A real Postgres server that belongs to this process.
 *
 * ```
 * stopped ── start() ──► running ── stop(), kill() ──► stopped
 *                        running ── pause() ──► paused ── resume() ──► running
 * ```
 *
 * Calls wait for each other, in the order they were made.
 */
export class EmbeddedServer {
  /** `server1`, `server2` …; a standby is named after the server it was made of. */
  readonly name: string;
  readonly #directory: DataDirectory;
  readonly #parts: ServerParts;
  readonly #password: string;
  #port: number | undefined;
  /** Once it has run, its port is known to others and does not change. */
  #hasRun = false;
  #run: ServerRun | undefined;
  #primary: EmbeddedServer | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  /** @internal use {@link startEmbedded} */
  constructor(directory: DataDirectory, { password, port }: ServerFacts, parts: ServerParts) {
    this.name = directory.name;
    this.#directory = directory;
    this.#password = password;
    this.#port = port;
    this.#parts = parts;
  }

  /** The same from the first start on. */
  get port(): number {
    return this.#port ?? 0;
  }

  get running(): boolean {
    return this.#run?.postmaster.ended === false;
  }

  /** The process id of the server, or `undefined` while it is stopped. */
  get pid(): number | undefined {
    return this.running ? this.#run?.postmaster.pid : undefined;
  }

  get dataDirectory(): string {
    return this.#directory.data;
  }

  /** How to connect, as the superuser, from this machine. */
  get connection(): EmbeddedConnection {
    const { database } = this.#parts.options;
    return { host: '127.0.0.1', port: this.port, user: SUPERUSER, password: this.#password, database };
  }

  /** The end of the server's log. */
  log(maxBytes = 4_000): Promise<string> {
    return this.#directory.logTail(0, maxBytes);
  }

  /**
   * Starts the server and waits until it takes connections.
   *
   * @throws {@link EmbeddedServerError} with the server's own words
   */
  start(): Promise<void> {
    return this.#inTurn(async () => void (await this.#start()));
  }

  /**
   * Stops the server and waits until it is gone.
   *
   * @throws {@link EmbeddedServerError} when it is not in time; it may still stop later
   */
  stop(mode: StopMode = 'fast'): Promise<void> {
    return this.#inTurn(() => this.#stop(mode));
  }

  /** Kills all processes of the server with SIGKILL, and waits until they are gone. What was committed is kept. */
  kill(): Promise<void> {
    return this.#inTurn(async () => this.#run?.postmaster.kill());
  }

  /** Freezes all processes of the server (SIGSTOP): connections are taken by the kernel and stay open, nothing answers. */
  pause(): Promise<void> {
    return this.#inTurn(async () => this.#run?.postmaster.freeze());
  }

  resume(): Promise<void> {
    return this.#inTurn(async () => this.#run?.postmaster.thaw());
  }

  /** Makes a standby that follows this server, which goes on running (before Postgres 15 it is stopped for the copy). */
  makeStandby(): Promise<EmbeddedServer> {
    return this.#inTurn(async () => {
      const name = await this.#parts.standbyName(this.name);
      const copy = await this.#copy(name);
      const standby = new EmbeddedServer(copy, { password: this.#password }, this.#parts);
      this.#parts.adopt(standby);
      await standby.follow(this);
      return standby;
    });
  }

  /**
   * Starts this server as a standby of another one: one that was stopped before the other was promoted, or a copy.
   * Waits until it receives what the primary writes, when the primary runs.
   *
   * @throws {@link EmbeddedServerError} also when this server has diverged: it would look healthy and receive nothing
   */
  follow(primary: EmbeddedServer): Promise<void> {
    return this.#inTurn(async () => {
      await this.#stop('fast');
      this.#primary = primary;
      await this.#remember();
      await this.#directory.write(join(this.dataDirectory, 'standby.signal'), '');
      const run = await this.#start();
      if (!primary.running || this.#isBlind) return;
      const receiving = (): Promise<boolean> => receives(this.connection, primary.connection);
      await untilTrue(receiving, run, `does not receive from ${primary.name}`, this.#parts.options);
    });
  }

  /** Makes a standby a primary, and waits until it takes writes. */
  promote(): Promise<void> {
    return this.#inTurn(async () => {
      const run = this.#run;
      if (run === undefined || run.postmaster.ended) {
        throw new EmbeddedServerError(this.name, `${this.name} can't be promoted while it is stopped`, '');
      }
      // What pg_ctl does; the SQL function pg_promote() would need a free connection.
      await this.#directory.write(join(this.dataDirectory, 'promote'), '');
      run.postmaster.signal('SIGUSR1');
      await untilTrue(() => takesWrites(this.connection), run, 'was not promoted', this.#parts.options);
      this.#primary = undefined;
      await this.#remember();
    });
  }

  async #start(): Promise<ServerRun> {
    if (this.#run !== undefined && this.running) return this.#run;
    const { timeoutMs } = this.#parts.options;
    await clearFormerServer(this.#directory);
    await claim(this.#directory);
    const retryUntil = performance.now() + Math.min(5_000, timeoutMs);
    for (;;) {
      // A kept server has its former port when it is still free.
      if (!this.#hasRun && (this.#port === undefined || !(await isFree(this.#port)))) this.#port = await freePort();
      try {
        const run = await this.#attempt();
        this.#hasRun = true;
        await this.#remember();
        return run;
      } catch (error) {
        await this.#run?.postmaster.kill();
        const log = error instanceof EmbeddedServerError ? error.log : '';
        if (!(PORT_TAKEN.test(log) || NOT_QUITE_GONE.test(log)) || performance.now() > retryUntil) throw error;
        await sleep(100);
      }
    }
  }

  async #attempt(): Promise<ServerRun> {
    const { timeoutMs, signal } = this.#parts.options;
    const follows = this.#primary && { name: this.name, primary: this.#primary.connection };
    const run = await launch(this.#directory, this.#parts, { port: this.port, follows });
    this.#run = run;
    await untilReady(run, { blind: this.#isBlind, timeoutMs, signal: this.#hasRun ? undefined : signal });
    return run;
  }

  async #copy(name: string): Promise<DataDirectory> {
    const { running } = this;
    const { user, binaries } = this.#parts;
    const connection = running && !(this.#isBlind && this.#primary !== undefined) ? this.connection : undefined;
    if (canCopyRunning(binaries, connection)) return copyRunning(this.#directory, name, { user, connection });
    await this.#stop('fast');
    const copy = await copyCold(this.#directory, name, user);
    if (running) await this.#start();
    return copy;
  }

  async #stop(mode: StopMode): Promise<void> {
    const run = this.#run;
    if (run === undefined || run.postmaster.ended) return;
    run.postmaster.thaw();
    run.postmaster.signal(STOP_SIGNAL[mode]);
    const { timeoutMs } = this.#parts.options;
    if (await run.postmaster.untilEnded(timeoutMs)) return;
    throw await serverError(run, `did not stop (${mode}) within ${timeoutMs} ms`);
  }

  /** A standby that can't be read, so nothing can be asked of it. */
  get #isBlind(): boolean {
    return isOff(this.#parts.options.settings.hot_standby);
  }

  #remember(): Promise<void> {
    return this.#directory.remember({ password: this.#password, port: this.#port, follows: this.#primary?.name });
  }

  async #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const mine = this.#turn.then(work, work);
    this.#turn = mine.catch(() => {});
    return mine;
  }
}
