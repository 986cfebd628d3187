import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { endClient } from '../internal/client-guard.ts';
import type { Endpoint } from '../internal/endpoint/endpoint.ts';
import { listenStatement, unlistenStatement } from './channel.ts';

/**
 * Whether a notification sent by another session reaches this one while it is idle.
 *
 * Behind a pooler in transaction mode LISTEN succeeds – on a server session that then serves others – and nothing
 * ever arrives. Asking `pg_listening_channels()` proves nothing there, as it may be answered by that same session.
 */
export async function canHear(endpoint: Endpoint, session: pg.Client, limitMs: number): Promise<boolean> {
  const channel = `hypervault_probe_${randomBytes(8).toString('hex')}`;
  let onHeard = (_heard: boolean): void => {};
  const heard = new Promise<boolean>((resolve) => {
    onHeard = resolve;
  });
  const onNotification = (message: { channel: string }): void => {
    if (message.channel === channel) onHeard(true);
  };
  session.on('notification', onNotification);
  let timer: NodeJS.Timeout | undefined;
  try {
    await session.query(listenStatement([channel]));
    const sender = await endpoint.connect();
    try {
      await sender.query('select pg_notify($1, $2)', [channel, '']);
      timer = setTimeout(() => onHeard(false), limitMs);
      return await heard;
    } finally {
      void endClient(sender);
    }
  } finally {
    clearTimeout(timer);
    session.off('notification', onNotification);
    await session.query(unlistenStatement(channel)).catch(() => {});
  }
}
