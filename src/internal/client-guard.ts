import type { Client } from 'pg';

const lost = new WeakMap<Client, unknown>();

/**
 * Keeps a dropped socket from ending the process and remembers the loss.
 *
 * node-postgres emits up to two `error` events and then `end` for one lost session; without a listener the first
 * one is thrown. The guard stays on the client for all its life, idle or lent.
 */
export function guardClient(client: Client, onLost?: (error: unknown) => void): void {
  const onLoss = (error: unknown): void => {
    if (lost.has(client)) return;
    lost.set(client, error);
    onLost?.(error);
  };
  client.on('error', onLoss);
  client.on('end', () => onLoss(new Error('the connection was closed')));
}

/** Why the session is gone, or `undefined` while it lives. */
export function lossOf(client: Client): unknown {
  return lost.get(client);
}

/** Ends a session at once, whatever runs on it: `client.end()` would wait for a reply that may never come. */
export function destroyClient(client: Client): void {
  const { stream } = (client as unknown as { connection: { stream: { destroy(): void } } }).connection;
  stream.destroy();
}
