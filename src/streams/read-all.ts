import type { Row } from './lane.ts';
import type { EventRow } from './recorded-event.ts';
import type { RunOptions, Shards } from './shards.ts';

/** Which events of a shard are wanted. */
export interface AllFilter {
  /** Only streams of this category. */
  readonly category?: string | undefined;
  /** Only streams that fall into these slices, of so many. */
  readonly sliceCount?: number | undefined;
  readonly slices?: readonly number[] | undefined;
}

/** An event of a shard with its place there. */
export interface PlacedRow {
  readonly shardId: number;
  readonly pos: bigint;
  /** Internal id of the stream. */
  readonly streamId: string;
  readonly event: EventRow;
}

/** A page of all events of one shard. */
export interface ShardPage {
  readonly rows: PlacedRow[];
  /** Everything up to here was read (forwards), or down to here (backwards). */
  readonly scannedTo: bigint;
  /** There was nothing more, at that moment. */
  readonly isEnd: boolean;
}

export interface ShardPageRequest extends AllFilter {
  /** Forwards: after this position. Backwards: before it; `undefined`: from the end. */
  readonly after: bigint | undefined;
  /** Forwards: not beyond this position. */
  readonly upto?: bigint | undefined;
  readonly max: number;
  readonly backward?: boolean | undefined;
}

/** Reads a page of all events of one shard, in the order of their positions. */
export async function readShardPage(
  shards: Shards,
  shardId: number,
  { after, upto, max, category, sliceCount, slices, backward = false }: ShardPageRequest,
  options?: RunOptions,
): Promise<ShardPage> {
  const result = await shards.query(
    'read',
    shardId,
    {
      text: `select pos, stream, number, id, uuid, type, body, bytes, metadata, stream_id from ${shards.schema(shardId)}.hv_read_all($1, $2, $3, $4, $5, $6, $7)`,
      values: [after ?? null, upto ?? null, max, category ?? null, sliceCount ?? null, slices ?? null, backward],
    },
    options,
  );
  const rows: PlacedRow[] = [];
  for (const row of result) {
    if (row[1] === null) return { rows, scannedTo: BigInt(row[0]!), isEnd: true };
    rows.push(placedRow(shardId, row));
  }
  return { rows, scannedTo: rows.at(-1)!.pos, isEnd: false };
}

function placedRow(
  shardId: number,
  [pos, stream, number, id, uuid, type, body, bytes, metadata, streamId]: Row,
): PlacedRow {
  return {
    shardId,
    pos: BigInt(pos!),
    streamId: streamId!,
    event: {
      stream: stream!,
      number: BigInt(number!),
      id: id!,
      uuid: uuid!,
      type: type!,
      body: body!,
      bytes: bytes!,
      metadata: metadata!,
    },
  };
}
