import type { ImportLog } from './import-log.ts';

export const LOG_LEVELS = ['debug', 'info', 'warning', 'error'] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

/** One log that leaves out what is below a level and tells the rest to all of several. */
export function levelled(level: LogLevel, logs: readonly ImportLog[]): ImportLog {
  const least = LOG_LEVELS.indexOf(level);
  const all =
    (of: LogLevel, tell: (log: ImportLog, message: string) => void) =>
    (message: string): void => {
      if (LOG_LEVELS.indexOf(of) < least) return;
      for (const log of logs) tell(log, message);
    };
  return {
    debug: all('debug', (log, message) => log.debug(message)),
    info: all('info', (log, message) => log.info(message)),
    warn: all('warning', (log, message) => log.warn(message)),
    error: all('error', (log, message) => log.error(message)),
  };
}
