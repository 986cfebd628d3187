import type { ImportLog } from '../log/import-log.ts';

/** Something a person should hear of. */
export interface Notice {
  readonly level: 'critical' | 'error' | 'warning' | 'info';
  readonly source: string;
  readonly message: string;
  readonly table?: string | undefined;
  readonly remedy?: string | undefined;
}

/** Takes notices to a person: Rollbar, a webhook, a function. */
export type NoticeTarget = (notice: Notice) => void | Promise<void>;

/** Hands notices to all targets; one that fails costs a line in the log and nothing else. */
export class Notifier {
  readonly #targets: readonly NoticeTarget[];
  readonly #log: ImportLog;

  constructor(targets: readonly NoticeTarget[], log: ImportLog) {
    this.#targets = targets;
    this.#log = log;
  }

  notify(notice: Notice): void {
    for (const target of this.#targets) {
      Promise.resolve()
        .then(() => target(notice))
        .catch((error: unknown) => {
          this.#log.warn(`a notice could not be delivered: ${error instanceof Error ? error.message : String(error)}`);
        });
    }
  }
}
