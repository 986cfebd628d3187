import { dropSlots, enableSubscription, subscribe, unpublish, unsubscribe } from './links.ts';
import type { Moving } from './moving.ts';

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
