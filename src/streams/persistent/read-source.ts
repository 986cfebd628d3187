import { readShardPage } from '../read-all.ts';
import { readStreamPage } from '../read-stream.ts';
import type { EventRow } from '../recorded-event.ts';
import type { RunOptions, Shards } from '../shards.ts';
import type { Source } from '../stream-name.ts';

/** An event of a group's source. */
export interface SourceEvent {
  /** Number in a stream, position in a shard. */
  readonly position: bigint;
  readonly streamId: string;
  readonly row: EventRow;
}

export interface SourcePage {
  readonly events: SourceEvent[];
  /** Everything up to here was read. */
  readonly scannedTo: bigint;
}

export interface SourceRequest {
  readonly after: bigint;
  readonly upto: bigint | undefined;
  readonly max: number;
  /** Only these slices, of so many. */
  readonly slices: { readonly count: number; readonly wanted: readonly number[] } | undefined;
}

/** Reads a page of a group's source. */
export async function readSource(
  shards: Shards,
  shardId: number,
  source: Source,
  { after, upto, max, slices }: SourceRequest,
  options: RunOptions,
): Promise<SourcePage> {
  if (source.kind === 'stream') return readStream(shards, shardId, source.name, { after, upto, max }, options);
  const page = await readShardPage(
    shards,
    shardId,
    {
      after,
      upto,
      max,
      category: source.kind === 'category' ? source.category : undefined,
      ...(slices !== undefined && slices.wanted.length < slices.count
        ? { sliceCount: slices.count, slices: slices.wanted }
        : {}),
    },
    options,
  );
  const events = page.rows.map(({ pos, streamId, event }) => ({ position: pos, streamId, row: event }));
  return { events, scannedTo: page.scannedTo };
}

async function readStream(
  shards: Shards,
  shardId: number,
  stream: string,
  { after, upto, max }: Pick<SourceRequest, 'after' | 'upto' | 'max'>,
  options: RunOptions,
): Promise<SourcePage> {
  const page = await readStreamPage(shards, shardId, { stream, from: after + 1n, max, backward: false }, options);
  if (page === undefined) return { events: [], scannedTo: after };
  // What was deleted, or is hidden, is passed over.
  const rows = page.deleted === undefined ? page.rows.filter(({ number }) => upto === undefined || number <= upto) : [];
  const events = rows.map((row) => ({ position: row.number, streamId: '', row }));
  if (rows.length === max) return { events, scannedTo: rows.at(-1)!.number };
  const end = upto !== undefined && upto < page.version ? upto : page.version;
  return { events, scannedTo: end > after ? end : after };
}
