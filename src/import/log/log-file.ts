import { closeSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { ImportLog } from './import-log.ts';

export interface LogFileOptions {
  /** Made when it is not there. */
  readonly folder: string;
  /** The file is `<name>.log`, and `<name>.log.2026-11-20` after its day. */
  readonly name: string;
  /** Files of days further back are removed. */
  readonly daysKeep: number;
  /** @default the clock */
  readonly now?: (() => Date) | undefined;
}

/**
 * A log file that begins anew each day (UTC). Lines are written at once and not buffered: the last of them matter most
 * when a process dies.
 */
export class LogFile implements ImportLog {
  readonly path: string;
  readonly #options: LogFileOptions;
  #file: number | undefined;
  #day: string;

  /** @throws when the folder cannot be made or written to */
  constructor(options: LogFileOptions) {
    this.#options = options;
    this.path = join(options.folder, `${options.name}.log`);
    mkdirSync(options.folder, { recursive: true, mode: 0o700 });
    const last = statSync(this.path, { throwIfNoEntry: false });
    this.#day = dayOf(last?.mtime ?? this.#now());
    this.#file = openSync(this.path, 'a', 0o600);
    this.#rotate(this.#now());
  }

  debug(message: string): void {
    this.#write('DEBUG', message);
  }

  info(message: string): void {
    this.#write('INFO', message);
  }

  warn(message: string): void {
    this.#write('WARNING', message);
  }

  error(message: string): void {
    this.#write('ERROR', message);
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #write(level: string, message: string): void {
    if (this.#file === undefined) return;
    const now = this.#now();
    try {
      this.#rotate(now);
      const time = now.toISOString().replace('T', ' ').replace('Z', '');
      writeSync(this.#file, `${time} ${level} ${message.replaceAll('\n', '\n  ')}\n`);
    } catch {
      // A full disk must not stop the replica; what went wrong also stands in the catalogue
    }
  }

  #rotate(now: Date): void {
    const day = dayOf(now);
    if (day === this.#day) return;
    closeSync(this.#file!);
    const old = `${this.path}.${this.#day}`;
    if ((statSync(this.path, { throwIfNoEntry: false })?.size ?? 0) > 0) renameSync(this.path, old);
    this.#file = openSync(this.path, 'a', 0o600);
    this.#day = day;
    this.#clear(now);
  }

  #clear(now: Date): void {
    const { folder, name, daysKeep } = this.#options;
    const oldest = dayOf(new Date(now.getTime() - daysKeep * 86_400_000));
    for (const file of readdirSync(folder)) {
      const day = file.startsWith(`${name}.log.`) ? file.slice(name.length + 5) : '';
      if (/^\d{4}-\d\d-\d\d$/.test(day) && day < oldest) rmSync(join(folder, file), { force: true });
    }
  }

  #now(): Date {
    return this.#options.now?.() ?? new Date();
  }
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}
