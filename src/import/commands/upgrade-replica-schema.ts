import { installCatalogue } from '../catalogue/install.ts';
import { isLocked } from '../catalogue/lock.ts';
import { listSources } from '../catalogue/source-rows.ts';
import { ReplicaStateError } from '../errors.ts';
import type { EngineContext } from './context.ts';
import { stopAllReplicas } from './stop-replica.ts';

/** What was done. */
export interface UpgradeResult {
  readonly applied: readonly string[];
  /** Replicas that were stopped for it. */
  readonly stopped: readonly string[];
}

/** Brings the catalogue to this program's version: replicas are stopped first, and it refuses while one is still at work. */
export async function upgradeReplicaSchema(
  context: EngineContext,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<UpgradeResult> {
  const stopped = await stopAllReplicas(context, { signal });
  for (const source of await context.control(listSources)) {
    if (await context.control((client) => isLocked(client, source))) {
      throw new ReplicaStateError(`the source ${source.name} is ${source.status}; wait for it, then upgrade`);
    }
  }
  return { applied: await installCatalogue(context.servers), stopped };
}
