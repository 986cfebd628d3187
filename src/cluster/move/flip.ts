import { quoteIdentifier } from '../../internal/quote.ts';
import { MapConflictError, MapMissingError, MapRefusedError } from '../errors.ts';
import type { MapVersion } from '../map-store.ts';
import { contradictions, type MapCheck } from '../owner-check.ts';
import { MoveStateError } from './errors.ts';
import { holds, withShardMoved } from './map-change.ts';
import type { Moving, Passage } from './moving.ts';
import type { Opening } from './opening.ts';
import { skipWhatCame } from './way-back.ts';

/** Who owns a copy, by its own row. */
export interface CopyOwner {
  readonly server: string | null;
  readonly epoch: bigint;
}

/** What a copy says of itself; `undefined` when there is no such copy. */
export async function ownerOf({ client }: Passage['from'], schema: string): Promise<CopyOwner | undefined> {
  const name = `${quoteIdentifier(schema)}.hv_owner`;
  const there = await client.query<{ there: boolean }>('select to_regclass($1) is not null as there', [name]);
  if (!there.rows[0]!.there) return undefined;
  const { rows } = await client.query<{ server: string | null; epoch: string }>(`select server, epoch from ${name}`);
  return rows[0] === undefined ? undefined : { server: rows[0].server, epoch: BigInt(rows[0].epoch) };
}

/** Whether the fence is committed: what decides between back and forward after a crash. */
export async function isShut({ from, to }: Passage, schema: string): Promise<CopyOwner | undefined> {
  const owner = await ownerOf(from, schema);
  return owner !== undefined && owner.server === to.name ? owner : undefined;
}

/**
 * Publishes the map that names the new server; done already when the newest one does.
 *
 * @param fresh - the newest map, when it was read and the fence was put up just now: nothing has to be asked again
 */
export async function flipMap(moving: Moving, { from, to }: Passage, fresh?: MapVersion): Promise<bigint> {
  const { store, shardId, row, options, signal } = moving;
  for (let known = fresh; ; known = undefined) {
    const newest = known ?? (await store.read({ signal }));
    if (newest === null) throw new MapMissingError('the control database holds no shard map; see hypervault fsck');
    const { document } = newest;
    if (holds(document, to.name, shardId)) return document.epoch;
    if (!holds(document, from.name, shardId)) {
      throw new MoveStateError(
        `the map gives shard ${shardId} neither to ${from.name} nor to ${to.name}; look with hypervault fsck`,
      );
    }
    const next = withShardMoved(document, shardId, from.name, to.name);
    try {
      const comment = `move ${row.id}: shard ${shardId} from ${from.name} to ${to.name}`;
      await store.publish(
        next,
        { author: options.author, comment },
        { check: known === undefined ? fenceCheck(moving, { from, to }) : undefined, previous: known, signal },
      );
      return next.epoch;
    } catch (error) {
      // Another shard was moved meanwhile: the next epoch does as well, it is only higher than the fence's.
      if (!(error instanceof MapConflictError)) throw error;
    }
  }
}

/** The map may say only what the copies say: the fence names the new owner. */
function fenceCheck({ schema, shardId }: Moving, { from, to }: Pick<Passage, 'from' | 'to'>): MapCheck {
  return async (next, previous) => {
    const copies = await Promise.all(
      [from, to].map(async (party) => ({ on: party.name, row: await ownerOf(party, schema) })),
    );
    const found = copies.flatMap(({ on, row }) =>
      row === undefined ? [] : [{ shardId, on, owner: row.server, epoch: row.epoch }],
    );
    const problems = contradictions(next, previous, found);
    if (problems.length > 0) throw new MapRefusedError(problems);
  };
}

/**
 * Makes the new server ready to take the shard, in the transaction whose commit opens it: the sequences of the old copy are
 * stopped, and those here go on behind them. Nobody reads the old one any more: that right ended with the fence.
 */
export async function prepareShard(
  { schema, shardId, links }: Moving,
  { from, to, link }: Passage,
  opening: Opening,
  epoch: bigint,
): Promise<void> {
  const { rows } = await from.client.query<{ behind: object }>('select hypervault.move_stop($1, $2, false) as behind', [
    schema,
    shardId,
  ]);
  await opening.prepare(to.name, epoch, rows[0]!.behind);
  if (link === links.forward) await skipWhatCame(to, links.back);
}
