import type { Client } from 'pg';
import { abandonClient, destroyClient, endClient, lossOf } from '../internal/client-guard.ts';

/**
 * What a request gets that was given up: generic-pool can't take requests back, and would go on opening sessions for
 * them, without any delay while that fails, also when it is drained.
 */
export class NobodysClient {}

export function isNobodys(client: Client): boolean {
  return client instanceof NobodysClient;
}

/** No statement is under way or waits on the client. */
export function isQuiet(client: Client): boolean {
  const inside = client as unknown as { _queryQueue: unknown[]; _activeQuery: unknown; _sentQueryQueue: unknown[] };
  return inside._queryQueue.length === 0 && inside._sentQueryQueue.length === 0 && !inside._activeQuery;
}

/** A healthy session is told that we leave; any other is cut, since `end()` would wait for its statement, which is given up. */
export async function farewell(client: Client): Promise<void> {
  if (isNobodys(client)) return;
  if (lossOf(client) !== undefined) destroyClient(client);
  else if (isQuiet(client)) await endClient(client);
  else abandonClient(client);
}
