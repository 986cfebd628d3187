import { ConfigurationError } from '../../errors.ts';

/** A shard as a plan sees it. */
export interface PlanShard {
  readonly shardId: number;
  readonly server: string;
  readonly bytes: bigint;
  /** As estimated; 0 when nobody knows. */
  readonly rows: bigint;
  /** Counts, and stays where it is. @default false */
  readonly pinned?: boolean | undefined;
}

/** What is evened out over servers. */
export type PlanBy = 'bytes' | 'rows' | 'shards';

/** One shard that is to change places. */
export interface PlannedMove {
  readonly shardId: number;
  readonly from: string;
  readonly to: string;
  readonly bytes: bigint;
  readonly rows: bigint;
}

/** What a server holds. */
export interface ServerLoad {
  readonly server: string;
  readonly shards: number;
  readonly bytes: bigint;
  readonly rows: bigint;
}

/** Moves, in the order in which they help most, and what servers hold before and after. */
export interface MovesPlan {
  readonly moves: readonly PlannedMove[];
  readonly before: readonly ServerLoad[];
  readonly after: readonly ServerLoad[];
}

/**
 * Evens servers out with few moves: again and again a shard of the fullest server goes to the emptiest, the one that
 * brings the two closest together, until no server is fuller than the average by more than `tolerance`.
 *
 * @param servers - those that take part, also such as hold nothing yet; shards of others stay where they are
 * @param options.tolerance - a share of the average. @default 0.1
 */
export function planRebalance(
  shards: readonly PlanShard[],
  servers: readonly string[],
  { by = 'bytes', tolerance = 0.1 }: { by?: PlanBy | undefined; tolerance?: number | undefined } = {},
): MovesPlan {
  if (servers.length < 2) throw new ConfigurationError('rebalance: there are fewer than two servers to even out');
  if (!(tolerance >= 0)) throw new ConfigurationError(`rebalance: tolerance must be at least 0, not ${tolerance}`);
  const state = new Loads(shards, servers, by);
  const moves: PlannedMove[] = [];
  const average = state.total / servers.length;
  for (;;) {
    const [emptiest, fullest] = state.extremes();
    const gap = state.weightOf(fullest) - state.weightOf(emptiest);
    if (state.weightOf(fullest) <= average * (1 + tolerance)) break;
    // Half the gap makes them equal; more than the gap would only turn it around.
    const best = closestTo(gap / 2, state.movable(fullest), state.weight);
    if (best === undefined || state.weight(best) <= 0 || state.weight(best) >= gap) break;
    moves.push(state.move(best, emptiest));
  }
  return state.plan(moves);
}

/**
 * Empties a server: its shards, the largest first, each to the one that is emptiest by then.
 *
 * @param targets - where they may go
 */
export function planDrain(
  shards: readonly PlanShard[],
  server: string,
  targets: readonly string[],
  { by = 'bytes' }: { by?: PlanBy | undefined } = {},
): MovesPlan {
  const others = targets.filter((name) => name !== server);
  if (others.length === 0)
    throw new ConfigurationError(`drain: there is no other server to take the shards of ${server}`);
  const state = new Loads(shards, [...others, server], by);
  const leaving = [...state.movable(server)].sort((a, b) => state.weight(b) - state.weight(a) || a.shardId - b.shardId);
  return state.plan(leaving.map((shard) => state.move(shard, state.emptiestOf(others))));
}

/** Who holds what while a plan is made. */
class Loads {
  readonly #by: PlanBy;
  readonly #held: Map<string, PlanShard[]>;
  readonly #before: readonly ServerLoad[];

  constructor(shards: readonly PlanShard[], servers: readonly string[], by: PlanBy) {
    this.#by = by;
    this.#held = new Map(servers.map((name) => [name, shards.filter(({ server }) => server === name)]));
    this.#before = this.#loads();
  }

  weight = ({ bytes, rows }: PlanShard): number =>
    this.#by === 'shards' ? 1 : Number(this.#by === 'rows' ? rows : bytes);

  on(server: string): readonly PlanShard[] {
    return this.#held.get(server)!;
  }

  movable(server: string): readonly PlanShard[] {
    return this.on(server).filter(({ pinned }) => !pinned);
  }

  weightOf(server: string): number {
    return this.on(server).reduce((sum, shard) => sum + this.weight(shard), 0);
  }

  get total(): number {
    return [...this.#held.keys()].reduce((sum, server) => sum + this.weightOf(server), 0);
  }

  emptiestOf(servers: readonly string[]): string {
    return [...servers].sort(
      (a, b) => this.weightOf(a) - this.weightOf(b) || this.on(a).length - this.on(b).length,
    )[0]!;
  }

  extremes(): readonly [emptiest: string, fullest: string] {
    const sorted = [...this.#held.keys()].sort((a, b) => this.weightOf(a) - this.weightOf(b));
    return [sorted[0]!, sorted.at(-1)!];
  }

  move(shard: PlanShard, to: string): PlannedMove {
    const { shardId, server: from, bytes, rows } = shard;
    this.#held.set(
      from,
      this.on(from).filter((other) => other !== shard),
    );
    this.#held.set(to, [...this.on(to), { ...shard, server: to }]);
    return { shardId, from, to, bytes, rows };
  }

  /** A shard that was handed on twice goes there at once. */
  plan(moves: readonly PlannedMove[]): MovesPlan {
    const byShard = new Map<number, PlannedMove>();
    for (const move of moves) {
      const from = byShard.get(move.shardId)?.from ?? move.from;
      byShard.delete(move.shardId);
      if (from !== move.to) byShard.set(move.shardId, { ...move, from });
    }
    return { moves: [...byShard.values()], before: this.#before, after: this.#loads() };
  }

  #loads(): ServerLoad[] {
    return [...this.#held].map(([server, shards]) => ({
      server,
      shards: shards.length,
      bytes: shards.reduce((sum, { bytes }) => sum + bytes, 0n),
      rows: shards.reduce((sum, { rows }) => sum + rows, 0n),
    }));
  }
}

function closestTo(
  wanted: number,
  shards: readonly PlanShard[],
  weight: (shard: PlanShard) => number,
): PlanShard | undefined {
  const distance = (shard: PlanShard): number => Math.abs(weight(shard) - wanted);
  return shards.reduce<PlanShard | undefined>(
    (best, shard) => (best === undefined || distance(shard) < distance(best) ? shard : best),
    undefined,
  );
}
