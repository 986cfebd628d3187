import type { KvDatabase } from './kv-database.ts';

const CHANNEL = 'hypervault_kv';

/**
 * Calls back when a namespace may have changed: on its notifications, and whenever something may have been missed –
 * once LISTEN is in force, after each reconnect, at each poll. Hints only: read to know.
 *
 * @param ring told the revision the hint is about, when it has one
 * @returns ends it
 */
export function onChange(
  database: KvDatabase,
  namespace: string,
  ring: (revision: bigint | undefined) => void,
): () => void {
  const subscription = database.hub.subscribe(
    CHANNEL,
    ({ payload }) => {
      const hint = parseHint(payload);
      if (hint === undefined) ring(undefined);
      else if (hint.namespace === namespace) ring(hint.revision);
    },
    { onCatchUp: () => ring(undefined) },
  );
  return () => void subscription.close().catch(() => {});
}

/** What is no hint of ours may still mean a change: whoever sent it wants us to look. */
function parseHint(payload: string): { namespace: string; revision: bigint } | undefined {
  try {
    const { namespace, revision } = JSON.parse(payload) as Record<string, unknown>;
    if (typeof namespace === 'string' && typeof revision === 'string') return { namespace, revision: BigInt(revision) };
  } catch {
    // Not ours.
  }
  return undefined;
}
