import { unsubscribe } from '../subscription.ts';
import { dropSlots, enableSubscription, ORIGIN_VERSION, subscribe, unpublish } from './links.ts';
import type { Moving } from './moving.ts';
import type { Party } from './parties.ts';

/**
 * After the flip: the stream to the target ends, and one from the target to the source begins, through the fence that
 * stays there. Its log is kept since before the flip, so the old copy misses nothing.
 */
export async function turnAround(moving: Moving): Promise<void> {
  const { source, target, links, options } = moving;
  // In this order: what comes back to the source must not be sent to the target again.
  await dropForward(moving);
  if (!options.wayBack) return;
  await subscribe(source, target, links.back, { copy: false });
  await enableSubscription(source, links.back);
}

/**
 * Before Postgres 16 a subscription can't leave out what came by replication itself: the slot for the way back is taken
 * past it, when the last row has come and before anybody writes there. Later servers have nothing to do.
 */
export async function skipWhatCame({ client, version }: Party, link: string): Promise<void> {
  if (version >= ORIGIN_VERSION) return;
  // What was applied may not be on disk yet, and a slot goes no further than that: this commit takes it there.
  await client.query(`select pg_logical_emit_message(true, 'hypervault', '')`);
  await client.query(
    `select pg_replication_slot_advance(slot_name, pg_current_wal_flush_lsn()) from pg_replication_slots where slot_name = $1`,
    [link],
  );
}

/** Ends the stream to the target: subscription, then slot, then publication. */
export async function dropForward({ source, target, links, objects, signal }: Moving): Promise<void> {
  await unsubscribe(target.client, links.forward);
  await dropSlots(source.client, links.forward, objects.subscription, signal);
  await unpublish(source.client, links.forward);
}

/** Ends the stream back to the source: subscription, then slot, then publication. */
export async function dropBack({ source, target, links, signal }: Moving): Promise<void> {
  await unsubscribe(source.client, links.back);
  await dropSlots(target.client, links.back, undefined, signal);
  await unpublish(target.client, links.back);
}
