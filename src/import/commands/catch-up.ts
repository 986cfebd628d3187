import { TimeoutError } from '../../errors.ts';
import { linkSignals } from '../../internal/link-signals.ts';
import type { SourceRow } from '../catalogue/source-rows.ts';
import type { SourceConfig } from '../config/source-config.ts';
import { type ReplicaObserver, replicateDirectly, runReplica } from '../workers/replica.ts';
import type { EngineContext } from './context.ts';

/**
 * Replicates until everything that the source has written by now is applied. The caller holds the source's lock.
 * @throws TimeoutError when that takes longer than `timeoutMs`
 */
export async function catchUp(
  context: EngineContext,
  config: SourceConfig,
  source: SourceRow,
  { signal, timeoutMs }: { signal?: AbortSignal | undefined; timeoutMs: number },
): Promise<void> {
  const reader = await context.openSource(config);
  const wanted = await reader.currentPosition().finally(() => reader.close());
  const done = new AbortController();
  using stop = linkSignals([done.signal, signal], timeoutMs);
  let reached = false;
  const observer: ReplicaObserver = {
    onPosition: ({ ordinal }) => {
      if (ordinal < wanted.ordinal) return;
      reached = true;
      done.abort();
    },
  };
  await runReplica(context, config, source, observer, stop.signal, replicateDirectly);
  if (reached) return;
  signal?.throwIfAborted();
  throw new TimeoutError(
    `the replica ${config.name} did not reach ${wanted.text} within ${timeoutMs} ms; stop writing to the source, or give it more time`,
  );
}
