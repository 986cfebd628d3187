import { HypervaultError } from '../../errors.ts';
import { noteError } from '../catalogue/error-rows.ts';
import { isLocked, lockSource, noteStopped, underLock, type WorkerKind } from '../catalogue/lock.ts';
import {
  getSource,
  refuseSwitched,
  type SourceRow,
  type SourceStatus,
  setFlags,
  setStatus,
} from '../catalogue/source-rows.ts';
import { LockLostError, ReplicaStateError } from '../errors.ts';
import { replicateBack } from '../way-back/replicate-back.ts';
import { messageOf } from '../workers/message-of.ts';
import { readIntoLog } from '../workers/read-into-log.ts';
import { replayFromLog } from '../workers/replay-from-log.ts';
import { type ReplicaObserver, type ReplicaParts, replicateDirectly, runReplica } from '../workers/replica.ts';
import { together } from '../workers/together.ts';
import { type EngineContext, holding, sourceConfig } from './context.ts';
import { holdShards } from './hold-shards.ts';

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
  const { mode } = sourceConfig(context, name);
  const session = mode === 'direct' ? replicateDirectly : bothThroughLog;
  await runWorkers(context, name, options, ['read', 'replay'], session);
}

/** Only reads, into the log of changes in the control database; {@link replayReplica} applies, here or elsewhere. */
export async function readReplica(context: EngineContext, name: string, options: StartOptions = {}): Promise<void> {
  await runWorkers(context, name, options, ['read'], readIntoLog);
}

/** Only applies what {@link readReplica} has read. */
export async function replayReplica(context: EngineContext, name: string, options: StartOptions = {}): Promise<void> {
  await runWorkers(context, name, options, ['replay'], replayFromLog);
}

/** The two workers in one process, with the log between them. */
function bothThroughLog(parts: ReplicaParts, signal: AbortSignal): Promise<void> {
  return together([readIntoLog, replayFromLog], signal, (worker, until) => worker(parts, until));
}

async function runWorkers(
  context: EngineContext,
  name: string,
  options: StartOptions,
  workers: readonly WorkerKind[],
  session: (parts: ReplicaParts, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const config = sourceConfig(context, name);
  const known = await context.control((client) => getSource(client, name));
  refuseUnfit(known);
  const lock = await lockSource(context.servers, known, { workers, signal: options.signal });
  const { source } = lock;
  // After the switch the same command brings changes the other way
  const worker = source.direction === 'reverse' ? replicateBack : session;
  // Whoever had the lock until now may have left it otherwise than it was
  try {
    refuseUnfit(source);
  } catch (error) {
    await lock.release();
    throw error;
  }
  try {
    await underLock(lock, options.signal, async (signal) => {
      await holdShards(context, config, source);
      await context.control(async (client) => {
        if (source.status !== 'running') await setFlags(client, source, { stopRequested: false, paused: false });
        await setStatus(client, source, 'running');
      });
      context.log.info(`${name}: replicating (process ${process.pid})`);
      options.onStarted?.();
      await runReplica(holding(context, source, workers), config, source, options, signal, (parts, until) =>
        worker(parts, until),
      );
    });
    context.log.info(`${name}: stopped`);
    // The other worker may still run somewhere
    await context.control((client) => noteStopped(client, source));
  } catch (error) {
    const message = messageOf(error);
    const noting = context.control(async (client) => {
      // Whoever took the lock after us says how the source is
      if (!(error instanceof LockLostError && (await isLocked(client, source)))) {
        await setStatus(client, source, 'error', message);
      }
      await noteError(client, source, {
        phase: workers.includes('replay') ? 'replay' : 'read',
        message,
        remedy: remedyOf(error),
      });
    });
    // The control database may be what is away; why we ended is worth more than that it could not be written down
    await noting.catch((failure: unknown) => context.log.error(`${name}: ${messageOf(failure)}`));
    context.log.error(`${name}: ${message}`);
    context.notifier.notify({ level: 'critical', source: name, message, remedy: remedyOf(error) });
    throw error;
  }
}

function refuseUnfit(source: SourceRow): void {
  const { name, status, reason, direction } = source;
  if (direction !== 'reverse') refuseSwitched(source);
  if (STARTABLE.includes(status)) return;
  const remedy: Partial<Record<SourceStatus, string>> = {
    ready: 'run init-replica first',
    error: `mend it and run enable-replica; it says: ${reason ?? 'nothing'}`,
    initialising: 'its copy was interrupted, or is going on; run init-replica again, it goes on where it was',
    syncing: 'its copy was interrupted, or is going on; run the command again',
  };
  throw new ReplicaStateError(`the source ${name} is ${status}: ${remedy[status] ?? ''}`);
}

function remedyOf(error: unknown): string {
  if (error instanceof HypervaultError && ['BINLOG_PURGED', 'UNREADABLE_LOG'].includes(error.code))
    return 'hypervault import init-replica';
  return 'mend the cause, then hypervault import enable-replica and start-replica';
}
