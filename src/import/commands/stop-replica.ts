import { TimeoutError } from '../../errors.ts';
import { sleep } from '../../internal/sleep.ts';
import { type KnownSource, listKnownSources } from '../catalogue/any-version.ts';
import { isLocked, noteStopped } from '../catalogue/lock.ts';
import { getSource, setFlags } from '../catalogue/source-rows.ts';
import type { EngineContext } from './context.ts';

export interface StopOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long to wait for the process that replicates. @default 60000 */
  readonly timeoutMs?: number | undefined;
}

/** Asks the process that replicates a source to stop, and waits until it has. Does nothing when there is none. */
export async function stopReplica(
  context: EngineContext,
  name: string,
  options: StopOptions = {},
): Promise<{ readonly stopped: boolean }> {
  const source = await context.control((client) => getSource(client, name));
  return stop(context, source, options);
}

/** Stops every replica that runs. Returns the names of those that did. */
export async function stopAllReplicas(context: EngineContext, options: StopOptions = {}): Promise<string[]> {
  const sources = await context.control(listKnownSources);
  const stopped: string[] = [];
  for (const source of sources) {
    if ((await stop(context, source, options)).stopped) stopped.push(source.name);
  }
  return stopped;
}

async function stop(
  context: EngineContext,
  source: KnownSource,
  { signal, timeoutMs = 60_000 }: StopOptions,
): Promise<{ stopped: boolean }> {
  const held = await context.control((client) => isLocked(client, source));
  if (!held) {
    // Killed: the status column still says that it runs
    if (source.status === 'running') await context.control((client) => noteStopped(client, source));
    return { stopped: false };
  }
  if (source.status !== 'running') return { stopped: false };
  await context.control((client) => setFlags(client, source, { stopRequested: true }));
  const deadline = Date.now() + timeoutMs;
  while (await context.control((client) => isLocked(client, source))) {
    if (Date.now() > deadline) {
      throw new TimeoutError(
        `the replica ${source.name} did not stop within ${timeoutMs} ms; it may be in a long transaction of the source`,
      );
    }
    await sleep(100, { signal, what: `stopping ${source.name}` });
  }
  await context.control((client) => setFlags(client, source, { stopRequested: false }));
  return { stopped: true };
}
