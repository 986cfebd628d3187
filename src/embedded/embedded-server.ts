import { join } from 'node:path';
import { sleep } from '../internal/sleep.ts';
import { receives, takesWrites } from './ask.ts';
import type { Binaries } from './binaries.ts';
import { copyCold } from './cold-copy.ts';
import { type DataDirectory, SUPERUSER } from './data-directory.ts';
import { EmbeddedServerError } from './errors.ts';
import { claim, clearFormerServer } from './former-server.ts';
import { freePort, isFree } from './free-port.ts';
import type { Guard } from './guard.ts';
import type { ResolvedEmbeddedOptions, ServerSetting } from './options.ts';
import { Postmaster } from './postmaster.ts';
import { readPostmasterFile } from './postmaster-file.ts';
import type { ServerUser } from './server-user.ts';
import { settingsFor } from './settings.ts';

/** `fast` ends sessions, `smart` waits for them to end, `immediate` is a crash that recovers at the next start. */
export type StopMode = 'smart' | 'fast' | 'immediate';

const STOP_SIGNAL = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const;

/** How to connect to an embedded server; may be spread into any connection settings. */
export interface EmbeddedConnection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** What all servers of one {@link startEmbedded} share. @internal */
export interface ServerParts {
  readonly binaries: Binaries;
  readonly user: ServerUser | undefined;
  readonly options: ResolvedEmbeddedOptions;
  readonly guard: Guard;
  /** Puts a standby among the servers that are stopped together, and says in which folder it goes. */
  adopt(standby: (name: string) => Promise<EmbeddedServer>, of: EmbeddedServer): Promise<EmbeddedServer>;
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
  /** `server1`, `server2` …; a standby is named after its primary. */
  readonly name: string;
  readonly #directory: DataDirectory;
  readonly #parts: ServerParts;
  readonly #password: string;
  #port: number | undefined;
  /** Once it has run, its port is known to others and does not change. */
  #hasRun = false;
  #postmaster: Postmaster | undefined;
  /** Where in the log the last start began. */
  #logStart = 0;
  /** Whom a standby follows. */
  #following: Readonly<Record<string, ServerSetting>> = {};
  #turn: Promise<unknown> = Promise.resolve();

  /** @internal use {@link startEmbedded} */
  constructor(directory: DataDirectory, known: { password: string; port?: number }, parts: ServerParts) {
    this.name = directory.name;
    this.#directory = directory;
    this.#password = known.password;
    this.#port = known.port;
    this.#parts = parts;
  }

  /** The port, the same for all the life of the server. */
  get port(): number {
    return this.#port ?? 0;
  }

  get running(): boolean {
    return this.#postmaster?.ended === false;
  }

  /** The process id of the server, or `undefined` while it is stopped. */
  get pid(): number | undefined {
    return this.running ? this.#postmaster?.pid : undefined;
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
    return this.#inTurn(() => this.#start());
  }

  /**
   * Stops the server and waits until it is gone.
   *
   * @throws {@link EmbeddedServerError} when it is not in time; it may still stop later
   */
  stop(mode: StopMode = 'fast'): Promise<void> {
    return this.#inTurn(() => this.#stop(mode));
  }

  /** Kills all processes of the server with SIGKILL, and waits until they are gone. What was committed is there after `start()`. */
  kill(): Promise<void> {
    return this.#inTurn(async () => this.#postmaster?.kill());
  }

  /** Freezes all processes of the server (SIGSTOP): connections are taken by the kernel and stay open, nothing answers. */
  pause(): Promise<void> {
    return this.#inTurn(async () => this.#postmaster?.freeze());
  }

  resume(): Promise<void> {
    return this.#inTurn(async () => this.#postmaster?.thaw());
  }

  /** Makes a standby that follows this server, by a cold copy: this server is stopped for the length of the copy. */
  makeStandby(): Promise<EmbeddedServer> {
    const make = (name: string): Promise<EmbeddedServer> =>
      this.#inTurn(async () => {
        const running = this.running;
        await this.#stop('fast');
        const copy = await copyCold(this.#directory, name, this.#parts.user);
        if (running) await this.#start();
        const standby = new EmbeddedServer(copy, { password: this.#password }, this.#parts);
        await standby.follow(this);
        return standby;
      });
    return this.#parts.adopt(make, this);
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
      const { host, port, user, password } = primary.connection;
      await this.#directory.write(join(this.dataDirectory, 'standby.signal'), '');
      this.#following = {
        primary_conninfo: `host=${host} port=${port} user=${user} password=${password} application_name=${this.name}`,
      };
      await this.#start();
      const received = async (): Promise<boolean> => !primary.running || !this.#hot || receives(this.connection);
      await this.#until(received, this.#postmaster!, `does not receive from ${primary.name}`);
    });
  }

  /** Makes a standby a primary, and waits until it takes writes. */
  promote(): Promise<void> {
    return this.#inTurn(async () => {
      const postmaster = this.#postmaster;
      if (postmaster === undefined || postmaster.ended) throw await this.#error('can be promoted only while it runs');
      // What pg_ctl does; the SQL function pg_promote() would need a free connection.
      await this.#directory.write(join(this.dataDirectory, 'promote'), '');
      postmaster.signal('SIGUSR1');
      await this.#until(() => takesWrites(this.connection), postmaster, 'was not promoted');
      this.#following = {};
    });
  }

  async #start(): Promise<void> {
    if (this.running) return;
    const { binaries, user, options, guard } = this.#parts;
    await clearFormerServer(this.#directory);
    await claim(this.#directory);
    const retryUntil = performance.now() + Math.min(5_000, options.timeoutMs);
    for (;;) {
      await this.#choosePort();
      await this.#directory.configure({
        ...settingsFor(binaries.version),
        ...options.settings,
        ...this.#following,
        port: this.port,
      });
      this.#logStart = await this.#directory.logSize();
      this.#postmaster = await Postmaster.start(binaries.postgres, this.#directory, user, guard);
      try {
        await this.#untilReady(this.#postmaster);
        break;
      } catch (error) {
        await this.#postmaster.kill();
        const log = error instanceof EmbeddedServerError ? error.log : '';
        if (!(PORT_TAKEN.test(log) || NOT_QUITE_GONE.test(log)) || performance.now() > retryUntil) throw error;
        if (PORT_TAKEN.test(log) && !this.#hasRun) this.#port = undefined;
        await sleep(100);
      }
    }
    this.#hasRun = true;
    await this.#directory.remember({ password: this.#password, port: this.port });
  }

  /** Whether a standby can be asked. */
  get #hot(): boolean {
    return !/^(off|false|no|0)$/i.test(String(this.#parts.options.settings.hot_standby));
  }

  /** A kept server has its former port when it is still free. */
  async #choosePort(): Promise<void> {
    if (this.#hasRun) return;
    if (this.#port === undefined || !(await isFree(this.#port))) this.#port = await freePort();
  }

  async #stop(mode: StopMode): Promise<void> {
    const postmaster = this.#postmaster;
    if (postmaster === undefined || postmaster.ended) return;
    postmaster.thaw();
    postmaster.signal(STOP_SIGNAL[mode]);
    const { timeoutMs } = this.#parts.options;
    if (!(await postmaster.untilEnded(timeoutMs))) {
      throw await this.#error(`did not stop (${mode}) within ${timeoutMs} ms`);
    }
  }

  /** `pg_ctl -w` waits in the same way; the line "ready to accept connections" in the log comes later or never. */
  #untilReady(postmaster: Postmaster): Promise<void> {
    const enough = this.#hot ? ['ready'] : ['ready', 'standby'];
    const ready = async (): Promise<boolean> => {
      const file = await readPostmasterFile(this.dataDirectory);
      return file?.pid === postmaster.pid && enough.includes(file.status);
    };
    return this.#until(ready, postmaster, 'did not start');
  }

  async #until(condition: () => Promise<boolean>, postmaster: Postmaster, what: string): Promise<void> {
    const { timeoutMs, signal } = this.#parts.options;
    const deadline = performance.now() + timeoutMs;
    while (!(await condition())) {
      if (postmaster.ended) throw await this.#error(`${what}: it ended`);
      if (performance.now() > deadline) throw await this.#error(`${what} within ${timeoutMs} ms`);
      await sleep(5, { signal: this.#hasRun ? undefined : signal, what: `starting ${this.name}` });
    }
  }

  async #error(what: string): Promise<EmbeddedServerError> {
    const log = await this.#directory.logTail(this.#logStart, 4_000);
    return new EmbeddedServerError(this.name, `${this.name} in ${this.#directory.folder} ${what}`, log);
  }

  async #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const mine = this.#turn.then(work, work);
    this.#turn = mine.catch(() => {});
    return mine;
  }
}
