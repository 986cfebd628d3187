import { HypervaultError, OutcomeUnknownError } from '../errors.ts';
import { Backoff } from '../internal/backoff.ts';
import { sleep } from '../internal/sleep.ts';
import { CommitOrderingError } from './errors.ts';

export interface WriteOnce<T> {
  /** The write. Carries a version, so done twice it is refused. */
  attempt(): Promise<T>;
  /** What `attempt` would have returned, when exactly that is what the storage holds. */
  readBack(): Promise<T | undefined>;
  /** How long to go on for. */
  readonly withinMs: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * A write that survives a lost session. Its version makes it safe to send again: if the first one did happen, the
 * second is refused, and what is stored then tells whether it is ours.
 *
 * ```
 *   sending ── lost ──> sending again ── refused ──> reading back ── ours, or not ──> the end
 *                        ^       │                     ^      │
 *                        └─ lost ┘                     └ lost ┘
 * ```
 *
 * @throws OutcomeUnknownError when the server does not come back in time to be asked
 */
export async function writeOnce<T>({ attempt, readBack, withinMs, signal }: WriteOnce<T>): Promise<T> {
  const deadline = performance.now() + withinMs;
  const backoff = new Backoff({ baseMs: 25, maxMs: 500 });
  let unknown: OutcomeUnknownError | undefined;
  let refused: CommitOrderingError | undefined;
  for (;;) {
    try {
      if (refused === undefined) return await attempt();
      const ours = await readBack();
      if (ours !== undefined) return ours;
    } catch (error) {
      if (error instanceof CommitOrderingError && unknown !== undefined) {
        refused = error;
        continue;
      }
      if (error instanceof OutcomeUnknownError) unknown ??= error;
      else if (!(error instanceof HypervaultError && error.retryable)) throw error;
      if (performance.now() > deadline) throw unknown ?? error;
      await sleep(backoff.next(), { signal, what: 'saving a commit' });
      continue;
    }
    throw refused;
  }
}
