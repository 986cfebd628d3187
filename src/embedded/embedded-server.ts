import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chown, open, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { HypervaultError, TimeoutError } from '../errors.ts';
import type { ConnectionSettings } from '../internal/endpoint/settings.ts';
import { sleep } from '../internal/sleep.ts';
import type { Binaries } from './binaries.ts';
import { type DataDirectory, SUPERUSER } from './data-directory.ts';
import type { ResolvedEmbeddedOptions } from './options.ts';
import type { ServerUser } from './server-user.ts';
import { Watchdog } from './watchdog.ts';

const run = promisify(execFile);

/** `fast` ends sessions, `smart` waits for them, `immediate` is a crash that recovers at the next start. */
export type StopMode = 'smart' | 'fast' | 'immediate';

const STOP_SIGNAL = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const;

/** Settings every embedded server has, unless the caller gives others. */
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  wal_level: 'logical',
  max_connections: 200,
  max_wal_senders: 20,
  max_replication_slots: 40,
  hot_standby: 'on',
};

/** What a server is made of; shared by all of one {@link startEmbedded}. @internal */
export interface ServerParts {
  readonly binaries: Binaries;
  readonly user: ServerUser | undefined;
  readonly options: ResolvedEmbeddedOptions;
  /** Removed when this process dies; `undefined` keeps what is on disk. */
  readonly temporary: string | undefined;
}

/**
 * A real Postgres server that belongs to this process.
 *
 * ```
 * stopped ── start() ──► running ── stop(), kill() ──► stopped
 *                        running ── pause() ──► paused ── resume() ──► running
 * ```
 */
export class EmbeddedServer {
  readonly #directory: DataDirectory;
  readonly #parts: ServerParts;
  #port: number;
  #process: ChildProcess | undefined;
  #watchdog: Watchdog | undefined;
  /** Settings of this server alone: whom a standby follows. */
  #extra: Record<string, string> = {};
  /** Where in the log the last start began. */
  #logStart = 0;

  /** @internal use `startEmbedded()` */
  constructor(directory: DataDirectory, port: number, parts: ServerParts) {
    this.#directory = directory;
    this.#port = port;
    this.#parts = parts;
  }

  get port(): number {
    return this.#port;
  }

  /** The process id of the server, or `undefined` while it is stopped. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  get dataDirectory(): string {
    return this.#directory.data;
  }

  /** How to connect, as the superuser. */
  get connection(): ConnectionSettings & {
    host: string;
    port: number;
    user: string;
    password: string;
    database: string;
  } {
    const { database } = this.#parts.options;
    return { host: '127.0.0.1', port: this.#port, user: SUPERUSER, password: this.#directory.password, database };
  }

  /** The end of the server's log. */
  async log(bytes = 4_000): Promise<string> {
    return (await readFile(this.#directory.logFile, 'utf8').catch(() => '')).slice(-bytes);
  }

  /** Starts the server and waits until it answers; a standby answers when it can be read. */
  async start(): Promise<void> {
    if (this.#process !== undefined) return;
    for (let attempt = 1; ; attempt++) {
      await this.#spawn();
      try {
        return await this.#untilReady();
      } catch (error) {
        await this.#gone();
        const log = await readFile(this.#directory.logFile);
        const inUse = log.subarray(this.#logStart).includes('Address already in use');
        if (!inUse || attempt === 5) throw error;
        this.#port = await freePort();
      }
    }
  }

  /** Stops the server and waits until all its processes are gone. */
  async stop(mode: StopMode = 'fast'): Promise<void> {
    this.#process?.kill(STOP_SIGNAL[mode]);
    await this.#gone();
  }

  /** Kills the server and its children with SIGKILL, as a power cut would. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child?.pid === undefined) return;
    // The server leads a process group of its own, so nothing of it survives. A SIGSTOPped one dies too.
    process.kill(-child.pid, 'SIGKILL');
    await this.#gone();
    await rm(join(this.#directory.data, 'postmaster.pid'), { force: true });
  }

  /** Freezes the server and its children (SIGSTOP): sockets stay open, nothing answers. */
  pause(): void {
    if (this.pid !== undefined) process.kill(-this.pid, 'SIGSTOP');
  }

  resume(): void {
    if (this.pid !== undefined) process.kill(-this.pid, 'SIGCONT');
  }

  /** Makes a standby that follows this server, by a cold copy: the server is stopped for the length of the copy. */
  async makeStandby(folder: string): Promise<EmbeddedServer> {
    const running = this.#process !== undefined;
    await this.stop();
    await run('cp', ['-a', this.#directory.folder, folder]);
    if (running) await this.start();
    const copy = { ...this.#directory, folder, data: join(folder, 'data'), logFile: join(folder, 'log') };
    await rm(copy.logFile, { force: true });
    const standby = new EmbeddedServer(copy, await freePort(), this.#parts);
    await standby.follow(this);
    return standby;
  }

  /** Makes this stopped server a standby of another one and starts it. */
  async follow(primary: EmbeddedServer): Promise<void> {
    const { host, port, user, password } = primary.connection;
    const signal = join(this.#directory.data, 'standby.signal');
    await writeFile(signal, '');
    const { user: owner } = this.#parts;
    if (owner !== undefined) await chown(signal, owner.uid, owner.gid);
    const conninfo = `host=${host} port=${port} user=${user} password=${password} application_name=port_${this.#port}`;
    this.#extra = { primary_conninfo: conninfo };
    await this.start();
  }

  /** Makes a standby a primary and waits until it is one. */
  async promote(): Promise<void> {
    await this.#query('select pg_promote(true, 30)');
    await this.#until(async () => (await this.#query('select pg_is_in_recovery() as standby'))[0]?.standby === false);
  }

  async #spawn(): Promise<void> {
    const { binaries, user, options, temporary } = this.#parts;
    const { data, logFile } = this.#directory;
    const settings = { ...SETTINGS, ...options.settings, ...this.#extra, port: this.#port };
    const words = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const log = await open(logFile, 'a');
    this.#logStart = (await log.stat()).size;
    this.#watchdog = new Watchdog(data, temporary);
    const child = spawn(binaries.postgres, ['-D', data, ...words], {
      cwd: '/',
      detached: true, // a process group of its own: Ctrl-C in our terminal is ours to handle
      stdio: ['ignore', log.fd, log.fd],
      ...(user !== undefined && { uid: user.uid, gid: user.gid }),
    });
    child.unref();
    child.once('exit', () => {
      if (this.#process === child) this.#process = undefined;
    });
    child.once('error', () => {
      if (this.#process === child) this.#process = undefined;
    });
    this.#process = child;
    await log.close();
  }

  async #untilReady(): Promise<void> {
    await this.#until(async () => {
      if (this.#process === undefined) {
        throw new HypervaultError('EMBEDDED', `the server ended while starting; its log:\n${await this.log()}`);
      }
      return this.#query('select 1').then(
        () => true,
        () => false,
      );
    });
  }

  /** Asks again and again, since `pg_ctl` is not at hand everywhere and a standby never says that it is ready. */
  async #until(condition: () => Promise<boolean>): Promise<void> {
    const { startTimeoutMs } = this.#parts.options;
    const deadline = Date.now() + startTimeoutMs;
    while (!(await condition())) {
      if (Date.now() > deadline) {
        throw new TimeoutError(`the server did not answer within ${startTimeoutMs} ms; its log:\n${await this.log()}`);
      }
      await sleep(15);
    }
  }

  async #query(text: string): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({ ...this.connection, database: 'postgres', connectionTimeoutMillis: 2_000 });
    client.on('error', () => {});
    try {
      await client.connect();
      return (await client.query(text)).rows;
    } finally {
      await client.end().catch(() => {});
    }
  }

  async #gone(): Promise<void> {
    const child = this.#process;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      child.ref();
      await new Promise((resolve) => child.once('exit', resolve));
    }
    this.#process = undefined;
    this.#watchdog?.dismiss();
    this.#watchdog = undefined;
  }
}

/** A port nobody listens on at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
