import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  access,
  appendFile,
  chown,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Binaries } from './binaries.ts';
import { EmbeddedServerError } from './errors.ts';
import type { ServerSetting } from './options.ts';
import { identityFor, type ServerUser } from './server-user.ts';

const run = promisify(execFile);

/** The superuser of every embedded server. */
export const SUPERUSER = 'postgres';

const SETTINGS_FILE = 'hypervault.conf';

/** What is known of a server from one start to the next. */
export interface ServerFacts {
  readonly password: string;
  /** Of the last time it ran. */
  readonly port?: number | undefined;
  /** Name of the server whose standby it is. */
  readonly follows?: string | undefined;
}

/**
 * The folder of one server.
 *
 * ```
 * data/           what Postgres keeps; our settings are in data/hypervault.conf, written anew at each start
 * postgres.log    what it said, since the folder was made
 * server.json     what the next start has to know
 * owner.json      the process that runs the server
 * ```
 */
export class DataDirectory {
  readonly name: string;
  readonly folder: string;
  readonly data: string;
  readonly logFile: string;
  readonly #user: ServerUser | undefined;

  constructor(name: string, folder: string, user: ServerUser | undefined) {
    this.name = name;
    this.folder = folder;
    this.data = join(folder, 'data');
    this.logFile = join(folder, 'postgres.log');
    this.#user = user;
  }

  /** Makes the folder; it belongs to the server's user and is closed to others. */
  async make(): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    await this.#own(this.folder);
  }

  /** Whether there is data. */
  exists(): Promise<boolean> {
    return isThere(join(this.data, 'PG_VERSION'));
  }

  /** Whether the server was told to be a standby. Promotion removes the file. */
  isStandby(): Promise<boolean> {
    return isThere(join(this.data, 'standby.signal'));
  }

  /** Runs initdb, and keeps the password. Whole or not at all: what an interrupted one left does not count. */
  async initialise({ initdb, version }: Binaries): Promise<void> {
    const [making, passwordFile] = [join(this.folder, `making-${process.pid}`), join(this.folder, 'password')];
    for (const name of await readdir(this.folder)) {
      if (name.startsWith('making-')) await rm(join(this.folder, name), { recursive: true, force: true });
    }
    const password = randomBytes(18).toString('base64url');
    await this.write(passwordFile, password);
    // Sorting and letters as in C.UTF-8, from Postgres itself where it can, so on every machine the same.
    const locale = version >= 17 ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'] : [];
    const words = ['-D', making, '-U', SUPERUSER, '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '-E', 'UTF8'];
    if (version < 17) locale.push('--locale=C.UTF-8');
    try {
      await run(initdb, [...words, ...locale, '--no-sync'], { cwd: '/', env: ENVIRONMENT, ...identityFor(this.#user) });
      await appendFile(join(making, 'postgresql.conf'), `include_if_exists '${SETTINGS_FILE}'\n`);
      await this.remember({ password });
      await rename(making, this.data);
    } catch (cause) {
      const { stderr = '' } = cause as { stderr?: string };
      throw new EmbeddedServerError(this.name, `initdb failed in ${making}`, stderr.trim() || String(cause), { cause });
    } finally {
      await rm(making, { recursive: true, force: true });
      await rm(passwordFile, { force: true });
    }
  }

  /** Writes the settings of the next start. */
  async configure(settings: Readonly<Record<string, ServerSetting>>): Promise<void> {
    const lines = Object.entries(settings).map(
      ([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'\n`,
    );
    await this.write(join(this.data, SETTINGS_FILE), `# Written at each start; ALTER SYSTEM wins.\n${lines.join('')}`);
  }

  /** Writes a file that only the server's user can read. It appears whole: Postgres may be watching for it. */
  async write(path: string, text: string): Promise<void> {
    const making = `${path}.${process.pid}`;
    await writeFile(making, text, { mode: 0o600 });
    await this.#own(making);
    await rename(making, path);
  }

  async recall(): Promise<ServerFacts> {
    return JSON.parse(await readFile(join(this.folder, 'server.json'), 'utf8')) as ServerFacts;
  }

  async remember(facts: ServerFacts): Promise<void> {
    await this.write(join(this.folder, 'server.json'), `${JSON.stringify(facts)}\n`);
  }

  async logSize(): Promise<number> {
    return (await stat(this.logFile).catch(() => undefined))?.size ?? 0;
  }

  /** The last lines of the log, as far as they were written after byte `from`. */
  async logTail(from: number, maxBytes: number): Promise<string> {
    const file = await open(this.logFile, 'r').catch(() => undefined);
    if (file === undefined) return '';
    try {
      const { size } = await file.stat();
      const start = Math.max(from, size - maxBytes);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.max(0, size - start)), 0, undefined, start);
      return buffer.toString('utf8', 0, bytesRead).trimEnd();
    } finally {
      await file.close();
    }
  }

  async #own(path: string): Promise<void> {
    if (this.#user !== undefined) await chown(path, this.#user.uid, this.#user.gid);
  }
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Nothing of ours: a PGPORT or PGOPTIONS of the program would reach the server. Messages in English, for our errors. */
export const ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };
