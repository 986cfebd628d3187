import { isConnectionLoss } from '../internal/sqlstate.ts';
import type { Entity } from './entity.ts';
import { decodeEntity } from './entity-reads.ts';
import type { Key } from './key.ts';
import { mayHaveMoved } from './moved-shard.ts';
import type { Server } from './server.ts';
import type { Servers } from './servers.ts';

/** Keys from which on a call is no crowd of single reads any more but travels by itself. */
export const BULK_KEYS = 256;
/** Ids in one statement. */
const MAX_IDS = 2_000;
/** Statements of one call that run on one server at the same time. */
const SIDE_BY_SIDE = 2;

interface Chunk {
  readonly server: Server;
  readonly shardId: number;
  /** Places of the keys in the list the caller gave. */
  readonly places: readonly number[];
}

/**
 * Reads many entities, a statement for each shard, on clients beside the lanes: hundreds of rows of one caller must not
 * stand in front of other callers' single ones. What a lost session or a moved shard keeps from being read goes the way
 * of single reads, which know what to do then.
 */
export async function readBulk(
  servers: Servers,
  keys: readonly Key[],
  epoch: number,
  single: (key: Key) => Promise<Entity | null>,
): Promise<(Entity | null)[]> {
  const found = new Array<Entity | null>(keys.length).fill(null);
  const read = async ({ server, shardId, places }: Chunk): Promise<void> => {
    const { selectMany, types } = server.entities.reads(shardId);
    const ids = `{${places.map((place) => keys[place]!.id).join(',')}}`;
    let rows: unknown[][];
    try {
      ({ rows } = await server.run({ text: selectMany, values: [ids], types }));
    } catch (error) {
      if (!isConnectionLoss(error) && !mayHaveMoved(error) && !servers.moved.hasLeft(server, shardId, error))
        throw error;
      await Promise.all(
        places.map(async (place) => {
          found[place] = await single(keys[place]!);
        }),
      );
      return;
    }
    const byId = new Map(rows.map((row) => [row[0] as string, row]));
    for (const place of places) {
      const row = byId.get(keys[place]!.toString());
      if (row !== undefined) found[place] = decodeEntity(row, { epoch });
    }
  };
  await Promise.all(
    [...chunksOf(servers, keys)].flatMap(([, chunks]) =>
      Array.from({ length: SIDE_BY_SIDE }, async () => {
        for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) await read(chunk);
      }),
    ),
  );
  return found;
}

function chunksOf(servers: Servers, keys: readonly Key[]): Map<Server, Chunk[]> {
  const byShard = new Map<number, number[]>();
  for (const [place, { shardId }] of keys.entries()) {
    const places = byShard.get(shardId);
    if (places === undefined) byShard.set(shardId, [place]);
    else places.push(place);
  }
  const byServer = new Map<Server, Chunk[]>();
  for (const [shardId, all] of byShard) {
    const server = servers.of(shardId);
    const chunks = byServer.get(server) ?? [];
    byServer.set(server, chunks);
    for (let i = 0; i < all.length; i += MAX_IDS) chunks.push({ server, shardId, places: all.slice(i, i + MAX_IDS) });
  }
  return byServer;
}
