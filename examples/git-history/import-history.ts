import { createHash } from 'node:crypto';
import { type EventStore, NewEvent } from 'pg-hypervault/streams';
import { type Change, idOf } from './history.ts';

/** Events of one append; a stream's next append begins when this one is written, so its events stay in order. */
const CHUNK = 200;
/** Names of streams have a bound. */
const MAX_NAME = 200;

/** The stream of a file: `file-src/index.ts`. */
export function streamOf(file: string): string {
  const name = `file-${file}`;
  if (name.length <= MAX_NAME) return name;
  return `${name.slice(0, MAX_NAME)}~${createHash('sha1').update(file).digest('hex').slice(0, 8)}`;
}

/** Writes each change into its file's stream, all streams at once. @returns how many were written, and were there */
export async function importHistory(
  store: EventStore,
  changes: readonly Change[],
): Promise<{ written: number; repeated: number; streams: number }> {
  const streams = new Map<string, Change[]>();
  for (const change of changes) {
    const stream = streamOf(change.file);
    const of = streams.get(stream);
    if (of === undefined) streams.set(stream, [change]);
    else of.push(change);
  }
  const counts = { written: 0, repeated: 0, streams: streams.size };
  await Promise.all(
    [...streams].map(async ([stream, of]) => {
      for (let at = 0; at < of.length; at += CHUNK) {
        const chunk = of.slice(at, at + CHUNK);
        const events = chunk.map((change) => new NewEvent('FileChanged', { id: idOf(change), body: change }));
        const { repeated } = await store.publish(stream, events);
        counts[repeated ? 'repeated' : 'written'] += chunk.length;
      }
    }),
  );
  return counts;
}
