import { HypervaultError } from '../../errors.ts';
import { noteError } from '../catalogue/error-rows.ts';
import { isLocked, lockSource } from '../catalogue/lock.ts';
import { getSource, type SourceStatus, setFlags, setStatus } from '../catalogue/source-rows.ts';
import { ReplicaStateError } from '../errors.ts';
import { messageOf } from '../workers/message-of.ts';
import { Replica, type ReplicaObserver } from '../workers/replica.ts';
import { type EngineContext, sourceConfig } from './context.ts';

export interface StartOptions extends ReplicaObserver {
  readonly signal?: AbortSignal | undefined;
  /** Called when the workers run. */
  readonly onStarted?: (() => void) | undefined;
}

const STARTABLE: readonly SourceStatus[] = ['initialised', 'synced', 'stopped', 'running'];

/**
 * Replicates a source until the signal fires, `stop-replica` is called somewhere, or something happens that no new
 * try can mend.
 */
export async function startReplica(context: EngineContext, name: string, options: StartOptions = {}): Promise<void> {
  const config = sourceConfig(context, name);
  const source = await context.control((client) => getSource(client, name));
  if (await context.control((client) => isLocked(client, source))) {
    throw new ReplicaStateError(
      `the source ${name} is ${source.status === 'running' ? 'replicated' : `worked on (${source.status})`} by another process`,
    );
  }
  if (!STARTABLE.includes(source.status)) {
    const remedy: Partial<Record<SourceStatus, string>> = {
      ready: 'run init-replica first',
      error: `mend it and run enable-replica; it says: ${source.reason ?? 'nothing'}`,
      initialising: 'its copy was interrupted; run init-replica again, it goes on where it was',
      syncing: 'its copy was interrupted; run the command again',
    };
    throw new ReplicaStateError(`the source ${name} is ${source.status}: ${remedy[source.status] ?? ''}`);
  }
  const lock = await lockSource(context.servers, source, { signal: options.signal });
  const signal = options.signal === undefined ? lock.lost : AbortSignal.any([options.signal, lock.lost]);
  try {
    await context.control(async (client) => {
      await setFlags(client, source, { stopRequested: false, paused: false });
      await setStatus(client, source, 'running');
    });
    options.onStarted?.();
    await new Replica(context, config, source, options).run(signal);
    await context.control((client) => setStatus(client, source, 'stopped'));
  } catch (error) {
    const message = messageOf(error);
    await context.control(async (client) => {
      await setStatus(client, source, 'error', message);
      await noteError(client, source, { phase: 'replay', message, remedy: remedyOf(error) });
    });
    context.notifier.notify({ level: 'critical', source: name, message, remedy: remedyOf(error) });
    throw error;
  } finally {
    await lock.release();
  }
}

function remedyOf(error: unknown): string {
  if (error instanceof HypervaultError && error.code === 'BINLOG_PURGED') return 'hypervault import init-replica';
  return 'mend the cause, then hypervault import enable-replica and start-replica';
}
