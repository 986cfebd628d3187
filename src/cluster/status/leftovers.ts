import type { ShardMap } from '../../core/index.ts';
import { knownSubscriptions, type SubscriptionsOf, straySlot } from '../stray-slots.ts';
import type { MoveReport } from './moves.ts';
import type { ReplicationReport } from './replication.ts';
import type { ShardReport } from './shards.ts';

/** Something a move made, or left, that no open move needs. */
export interface Leftover {
  readonly server: string;
  readonly kind: 'slot' | 'subscription' | 'publication' | 'schema';
  readonly name: string;
  /** The shard of a schema. */
  readonly shardId?: number | undefined;
  readonly sizeBytes?: bigint | undefined;
  /** Log that is kept for a slot. */
  readonly retainedBytes?: bigint | undefined;
  /** Why the janitor leaves it alone, and who may take it away; `undefined` for what it removes. */
  readonly kept?: string | undefined;
}

/** Subscriptions and publications of moves are named so, and end in the move's token. */
const LINK = /^hv_(?:move|back)_(\w+)$/;

/** What one server said. */
interface Said {
  readonly name: string;
  readonly replication: ReplicationReport;
  readonly shards: readonly ShardReport[];
  readonly subscriptions: SubscriptionsOf;
}

/**
 * What is on the servers and belongs to no shard of the map and to no open move; `hypervault janitor` takes it away.
 *
 * @param moves - those that are not over; `undefined` when they are not known: then nothing of a move is said to be left
 * @param complete - whether every server answered
 */
export function leftoversOf(
  map: ShardMap,
  moves: readonly MoveReport[] | undefined,
  servers: readonly Said[],
  complete: boolean,
): Leftover[] {
  const tokens = moves && new Set(moves.map(({ token }) => token));
  const moving = new Set(moves?.map(({ shardId }) => shardId));
  const known = knownSubscriptions(
    servers.map(({ subscriptions }) => subscriptions),
    complete,
  );
  const isLeft = (name: string): boolean => {
    const token = LINK.exec(name)?.[1];
    return token !== undefined && tokens?.has(token) === false;
  };
  const isCopy = ({ shardId }: ShardReport, server: string): boolean =>
    moves !== undefined && !moving.has(shardId) && map.has(shardId) && map.serverOf(shardId).name !== server;
  return servers.flatMap(
    ({ name: server, replication: { slots, subscriptions, publications }, shards }): Leftover[] => [
      ...subscriptions.filter(({ name }) => isLeft(name)).map(({ name }) => link(server, 'subscription', name)),
      ...slots.flatMap(({ slot: name, active, retainedBytes }) => {
        const stray = straySlot({ name, active }, tokens, known);
        return stray === undefined
          ? []
          : { ...link(server, 'slot', name), ...stray, retainedBytes: retainedBytes ?? undefined };
      }),
      ...publications.filter(isLeft).map((name) => link(server, 'publication', name)),
      ...shards
        .filter((shard) => isCopy(shard, server))
        .map(({ shardId, sizeBytes }): Leftover => {
          return { server, kind: 'schema', name: `shard ${shardId}`, shardId, sizeBytes };
        }),
    ],
  );
}

function link(server: string, kind: Leftover['kind'], name: string): Leftover {
  return { server, kind, name };
}
