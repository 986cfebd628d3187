import type { ShardMap } from '../../core/index.ts';
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
}

/** Slots, subscriptions and publications of moves are named so, and end in the move's token. */
const LINK = /^hv_(?:move|back)_(\w+)$/;

/** What is on the servers and belongs to no shard of the map and to no open move; `hypervault janitor` takes it away. */
export function leftoversOf(
  map: ShardMap,
  moves: readonly MoveReport[],
  servers: readonly {
    readonly name: string;
    readonly replication: ReplicationReport;
    readonly shards: readonly ShardReport[];
  }[],
): Leftover[] {
  const tokens = new Set(moves.map(({ token }) => token));
  const moving = new Set(moves.map(({ shardId }) => shardId));
  const isLeft = (name: string): boolean => {
    const token = LINK.exec(name)?.[1];
    // A slot that copies a table at the start of a move carries more behind the token.
    return token !== undefined && ![...tokens].some((open) => token.startsWith(open));
  };
  return servers.flatMap(({ name: server, replication: { slots, subscriptions, publications }, shards }) => [
    ...subscriptions.filter(({ name }) => isLeft(name)).map(({ name }) => link(server, 'subscription', name)),
    ...slots.filter(({ slot }) => isLeft(slot)).map(({ slot }) => link(server, 'slot', slot)),
    ...publications.filter(isLeft).map((name) => link(server, 'publication', name)),
    ...shards
      .filter(({ shardId }) => !moving.has(shardId) && map.has(shardId) && map.serverOf(shardId).name !== server)
      .map(({ shardId, sizeBytes }): Leftover => {
        return { server, kind: 'schema', name: `shard ${shardId}`, shardId, sizeBytes };
      }),
  ]);
}

function link(server: string, kind: Leftover['kind'], name: string): Leftover {
  return { server, kind, name };
}
