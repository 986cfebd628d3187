import { LINK_TYPE } from './new-event.ts';
import { readStreamPage } from './read-stream.ts';
import { RecordedEvent } from './recorded-event.ts';
import type { RunOptions, Shards } from './shards.ts';

/** Whether an event stands for another one. */
export function isLink({ type }: { readonly type: string }): boolean {
  return type === LINK_TYPE;
}

/** Puts the event that a link stands for in its place; a link that leads nowhere any more stays what it is. */
export async function resolveLinks(
  shards: Shards,
  events: readonly RecordedEvent[],
  options?: RunOptions,
): Promise<readonly RecordedEvent[]> {
  if (!events.some(isLink)) return events;
  return Promise.all(events.map((event) => (isLink(event) ? resolveLink(shards, event, options) : event)));
}

async function resolveLink(shards: Shards, link: RecordedEvent, options?: RunOptions): Promise<RecordedEvent> {
  const match = /^(\d{1,19})@(.+)$/s.exec(link.data.toString());
  if (match === null) return link;
  const [, number, stream] = match;
  const from = BigInt(number!);
  const shardId = shards.datastore.shardFor(stream!);
  const page = await readStreamPage(shards, shardId, { stream: stream!, from, max: 1, backward: false }, options);
  const row = page?.deleted === undefined ? page?.rows[0] : undefined;
  return row?.number === from ? new RecordedEvent(row, shards.epoch).reachedBy(link) : link;
}
