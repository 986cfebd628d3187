import { listKnownSources } from '../catalogue/any-version.ts';
import { hasCatalogue, installCatalogue } from '../catalogue/install.ts';
import { isLocked } from '../catalogue/lock.ts';
import { ReplicaStateError } from '../errors.ts';
import type { EngineContext } from './context.ts';
import { stopAllReplicas } from './stop-replica.ts';
import { hasChameleon, type TakenOver, takeOverChameleon } from './take-over-chameleon.ts';

/** What was done. */
export interface UpgradeResult {
  readonly applied: readonly string[];
  /** Replicas that were stopped for it. */
  readonly stopped: readonly string[];
  /** Sources of pg_chameleon that were found in the target. */
  readonly takenOver: readonly TakenOver[];
}

/**
 * Brings the catalogue to this program's version: replicas are stopped first, and it refuses while one is still at work.
 * Sources of the configuration that pg_chameleon has replicated so far are taken over.
 */
export async function upgradeReplicaSchema(
  context: EngineContext,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<UpgradeResult> {
  // Beside pg_chameleon's catalogue ours need not be there yet
  if (!(await hasCatalogue(context.servers)) && (await hasChameleon(context))) await installCatalogue(context.servers);
  const stopped = await stopAllReplicas(context, { signal });
  for (const source of await context.control(listKnownSources)) {
    if (await context.control((client) => isLocked(client, source))) {
      throw new ReplicaStateError(`the source ${source.name} is ${source.status}; wait for it, then upgrade`);
    }
  }
  const applied = await installCatalogue(context.servers);
  return { applied, stopped, takenOver: await takeOverChameleon(context) };
}
