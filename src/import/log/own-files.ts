import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ImportConfig } from '../config/import-config.ts';
import { LogFile } from './log-file.ts';

/** Where a daemon of that name writes its log and its process id. */
export function filesOf(config: Pick<ImportConfig, 'logDir' | 'pidDir'>, name: string): { log: string; pid: string } {
  return { log: join(atHome(config.logDir), `${name}.log`), pid: join(atHome(config.pidDir), `${name}.pid`) };
}

/** The log file of this process; `null` when the configuration asks for none and it is no daemon. */
export function openLogFile(config: ImportConfig, daemon: string | undefined): LogFile | null {
  if (daemon === undefined && config.logDest !== 'file') return null;
  return new LogFile({
    folder: atHome(config.logDir),
    name: daemon ?? 'hypervault-import',
    daysKeep: config.logDaysKeep,
  });
}

/** Writes down the process id, for whoever looks after daemons. Two daemons keep each other out in the catalogue, not here. */
export function writePidFile(config: ImportConfig, daemon: string): { readonly remove: () => void } {
  const { pid: path } = filesOf(config, daemon);
  mkdirSync(atHome(config.pidDir), { recursive: true, mode: 0o700 });
  writeFileSync(path, `${process.pid}\n`, { mode: 0o600 });
  return {
    remove: () => {
      try {
        // Another may have taken over meanwhile
        if (readFileSync(path, 'utf8').trim() === String(process.pid)) rmSync(path);
      } catch {
        // Gone already
      }
    },
  };
}

function atHome(path: string): string {
  return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : path;
}
