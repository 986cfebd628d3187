import { sleep } from '../internal/sleep.ts';
import type { DataDirectory } from './data-directory.ts';
import { EmbeddedServerError } from './errors.ts';
import type { Postmaster } from './postmaster.ts';

/** Bounds of a wait for a server. */
export interface Patience {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** One start of a server, and what it had to say since. */
export interface ServerRun {
  readonly directory: DataDirectory;
  readonly postmaster: Postmaster;
  /** Where in the log this run begins. */
  readonly logStart: number;
}

/**
 * Asks again and again until the condition holds.
 *
 * @param failure - how the error says what did not happen, e.g. `did not start`
 * @throws EmbeddedServerError when the server ends, or when it takes too long
 */
export async function untilTrue(
  condition: () => Promise<boolean>,
  run: ServerRun,
  failure: string,
  { timeoutMs, signal }: Patience,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (run.postmaster.ended) throw await serverError(run, `${failure}: it ended`);
    if (performance.now() > deadline) throw await serverError(run, `${failure} within ${timeoutMs} ms`);
    await sleep(5, { signal, what: `waiting for ${run.directory.name}` });
  }
}

/** An error about a run, with the end of its log. */
export async function serverError({ directory, logStart }: ServerRun, what: string): Promise<EmbeddedServerError> {
  const { name, folder } = directory;
  return new EmbeddedServerError(name, `${name} in ${folder} ${what}`, await directory.logTail(logStart, 4_000));
}
