import { type BigIntStats, type FSWatcher, statSync, watch } from 'node:fs';
import { InvalidConfigurationError } from './errors.ts';

/** Files whose coming or going tells of a promotion or a demotion; the last two up to PostgreSQL 11. */
export const FAILOVER_FILES: readonly string[] = [
  'standby.signal',
  'recovery.signal',
  'promote',
  'postmaster.pid',
  'recovery.conf',
  'recovery.done',
];

/** How often it is looked whether the directory is still the one that is watched. */
const REARM_MS = 5_000;

/**
 * Watches a data directory for the files of a failover, by exact name, not its subdirectories.
 * The directory may be taken away and come back (a standby made anew): it is watched again then.
 */
export class FileWatch {
  readonly #path: string;
  readonly #files: ReadonlySet<string>;
  readonly #onEvent: (file: string) => void;
  #watcher: FSWatcher | undefined;
  #identity: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @throws InvalidConfigurationError for wrong kinds; does no I/O */
  constructor(path: string, files: readonly string[], onEvent: (file: string) => void) {
    if (typeof path !== 'string' || path === '') throw new InvalidConfigurationError('watchPath: give a directory');
    if (!Array.isArray(files) || files.length === 0) {
      throw new InvalidConfigurationError('failoverFiles: give a list of file names');
    }
    for (const file of files) {
      if (typeof file === 'string' && /^[^/\\\0]+$/.test(file)) continue;
      throw new InvalidConfigurationError(`failoverFiles: ${JSON.stringify(file)} is not the bare name of a file`);
    }
    this.#path = path;
    this.#files = new Set(files);
    this.#onEvent = onEvent;
  }

  /** @throws InvalidConfigurationError when there is no such directory, or it may not be read */
  start(): void {
    try {
      this.#arm();
    } catch (cause) {
      throw new InvalidConfigurationError(`watchPath: ${this.#path} can't be watched`, { cause });
    }
    this.#timer = setInterval(() => this.#rearm(), REARM_MS);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#watcher?.close();
  }

  #arm(): void {
    const found = statSync(this.#path, { bigint: true });
    if (!found.isDirectory()) throw new Error('it is not a directory');
    this.#watcher?.close();
    this.#identity = identityOf(found);
    this.#watcher = watch(this.#path, (_event, file) => {
      if (file !== null && this.#files.has(file)) this.#onEvent(file);
    });
    this.#watcher.on('error', () => this.#watcher?.close());
  }

  #rearm(): void {
    try {
      if (identityOf(statSync(this.#path, { bigint: true })) === this.#identity) return;
      this.#arm();
      this.#onEvent('');
    } catch {
      // Taken away for now; the next look may find it again. The role is polled meanwhile.
      this.#identity = undefined;
    }
  }
}

/** A new directory may get the number of the one that was removed, so its birth is looked at as well. */
function identityOf({ ino, birthtimeNs }: BigIntStats): string {
  return `${ino}:${birthtimeNs}`;
}
