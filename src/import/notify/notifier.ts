import { Backoff } from '../../internal/backoff.ts';
import { sleep } from '../../internal/sleep.ts';
import type { ImportLog } from '../log/import-log.ts';

/** From the worst to the least. */
export const NOTICE_LEVELS = ['critical', 'error', 'warning', 'info'] as const;

export type NoticeLevel = (typeof NOTICE_LEVELS)[number];

/** Something a person should hear of. */
export interface Notice {
  readonly level: NoticeLevel;
  readonly source: string;
  readonly message: string;
  readonly table?: string | undefined;
  readonly remedy?: string | undefined;
}

/** Takes notices to a person: Rollbar, a webhook, a function. */
export type NoticeTarget = (notice: Notice) => void | Promise<void>;

/** How often a target is tried before a notice is given up. */
const MAX_TRIES = 3;

/** Hands notices to all targets; one that fails is tried again and then costs a line in the log and nothing else. */
export class Notifier {
  readonly #targets: readonly NoticeTarget[];
  readonly #log: ImportLog;
  readonly #underway = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  constructor(targets: readonly NoticeTarget[], log: ImportLog) {
    this.#targets = targets;
    this.#log = log;
  }

  notify(notice: Notice): void {
    for (const target of this.#targets) {
      const delivery = this.#deliver(target, notice).finally(() => this.#underway.delete(delivery));
      this.#underway.add(delivery);
    }
  }

  /** Waits for notices on their way, which are not tried again any more. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#underway);
  }

  async #deliver(target: NoticeTarget, notice: Notice): Promise<void> {
    const backoff = new Backoff({ baseMs: 500, maxMs: 5_000 });
    for (let tries = 1; ; tries++) {
      try {
        await target(notice);
        return;
      } catch (error) {
        if (tries === MAX_TRIES || this.#closing.signal.aborted) {
          const reason = error instanceof Error ? error.message : String(error);
          this.#log.warn(`a notice could not be delivered: ${reason}`);
          return;
        }
        await sleep(backoff.next(), { signal: this.#closing.signal, what: 'a notice' }).catch(() => {});
      }
    }
  }
}

/** Passes on what is at least as bad as a level. */
export function atLeast(level: NoticeLevel, target: NoticeTarget): NoticeTarget {
  const worst = NOTICE_LEVELS.slice(0, NOTICE_LEVELS.indexOf(level) + 1);
  return (notice) => (worst.includes(notice.level) ? target(notice) : undefined);
}
