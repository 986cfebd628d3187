import type { Client } from 'pg';
import { SQLSTATE, sqlStateOf } from '../../internal/sqlstate.ts';

/** A move that is not over. */
export interface MoveReport {
  readonly id: bigint;
  readonly shardId: number;
  readonly from: string;
  readonly to: string;
  /** `moving`, `moved` (the way back is kept) or `reverting`. */
  readonly state: string;
  readonly step: string;
  readonly started: Date;
  /** When its mover last gave a sign of life. */
  readonly heartbeat: Date;
  /** What its mover met last. */
  readonly error: string | null;
  /** Part of the names of its slots, publications and subscriptions. */
  readonly token: string;
}

const OPEN_MOVES = `
select id::text, shard, source, target, state, step, started, heartbeat, error, token
from hypervault.moves
where ended is null
order by id`;

/** The moves that are under way or keep a way back; none when the control database knows no moves yet. */
export async function readOpenMoves(client: Client): Promise<MoveReport[]> {
  try {
    const { rows } = await client.query(OPEN_MOVES);
    return rows.map(({ id, shard, source, target, ...rest }) => ({
      ...rest,
      id: BigInt(id),
      shardId: shard,
      from: source,
      to: target,
    }));
  } catch (error) {
    const state = sqlStateOf(error);
    if (state === SQLSTATE.undefinedTable || state === SQLSTATE.invalidSchemaName) return [];
    throw error;
  }
}
