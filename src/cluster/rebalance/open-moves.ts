import { type MoveRow, MoveStateError } from '../move/index.ts';
import type { MovesPlan, PlannedMove, PlanShard } from './plan.ts';

/** What earlier runs have begun, as a plan must take it. */
export interface Begun {
  /** Shards as they will be when the open moves are over; those that can't be moved now are pinned. */
  readonly shards: readonly PlanShard[];
  /** Moves to be taken up first. */
  readonly moves: readonly PlannedMove[];
}

/** Moves that are under way count as done and are taken up; shards with a way back stay where they are. */
export function withOpenMoves(shards: readonly PlanShard[], open: readonly MoveRow[]): Begun {
  const byShard = new Map(open.map((move) => [move.shardId, move]));
  const moves: PlannedMove[] = [];
  const then = shards.map((shard): PlanShard => {
    const move = byShard.get(shard.shardId);
    if (move === undefined) return shard;
    if (move.state !== 'moving') return { ...shard, pinned: true };
    const { shardId, bytes, rows } = shard;
    moves.push({ shardId, from: move.source, to: move.target, bytes, rows });
    return { ...shard, server: move.target, pinned: true };
  });
  return { shards: then, moves };
}

/** A plan with what was begun before it. */
export function afterBegun({ moves }: Begun, plan: MovesPlan): MovesPlan {
  return { ...plan, moves: [...moves, ...plan.moves] };
}

/** @throws MoveStateError when shards of a server that is to be drained can't leave it now */
export function assertNonePinned(shards: readonly PlanShard[], server: string): void {
  const pinned = shards.filter((shard) => shard.server === server && shard.pinned).map(({ shardId }) => shardId);
  if (pinned.length === 0) return;
  throw new MoveStateError(
    `moves of the shards ${pinned.join(', ')} on ${server} are not over; end them first with hypervault move --finish or --revert`,
  );
}
