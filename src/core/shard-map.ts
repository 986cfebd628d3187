import { ConfigurationError, InvalidArgumentError } from '../errors.ts';
import { describeValue } from '../internal/describe-value.ts';
import type { ConnectionSettings } from '../internal/endpoint/settings.ts';
import { ShardRangeError, UnknownShardError } from './errors.ts';
import { MAX_SHARDS } from './id-layout.ts';
import { formatShardRanges, type ShardRange } from './shard-range.ts';

/** A server and the shards it holds. */
export interface ShardServer {
  /** Unique in the map. */
  readonly name: string;
  readonly connection: ConnectionSettings;
  /** Half-open, ascending. */
  readonly ranges: readonly ShardRange[];
}

/**
 * Which server holds which shard, at one epoch. Never changes: a moved shard is another map with a higher epoch.
 *
 * @throws ShardRangeError from the constructor when two servers claim one shard, naming both
 */
export class ShardMap {
  /** Grows with each change of the map; 0 for a map that can't change. */
  readonly epoch: bigint;
  readonly servers: readonly ShardServer[];
  // One slot for each possible shard: 0 for none, else 1 + the server's place. A look-up is one load.
  readonly #owner = new Uint16Array(MAX_SHARDS);

  constructor(servers: readonly ShardServer[], { epoch = 0n }: { readonly epoch?: bigint | undefined } = {}) {
    this.epoch = epoch;
    this.servers = Object.freeze([...servers]);
    const names = new Set<string>();
    for (const [place, server] of servers.entries()) {
      if (names.has(server.name)) {
        throw new ConfigurationError(`two servers are named ${JSON.stringify(server.name)}; give each its own name`);
      }
      names.add(server.name);
      for (const range of server.ranges) this.#claim(place, range);
    }
  }

  /**
   * The server that holds a shard.
   * @throws UnknownShardError naming the shard and the ranges known
   */
  serverOf(shardId: number): ShardServer {
    const owner = typeof shardId === 'number' ? this.#owner[shardId] : undefined;
    if (owner !== undefined && owner > 0) return this.servers[owner - 1]!;
    if (Number.isInteger(shardId)) throw new UnknownShardError(shardId, this.ranges);
    throw new InvalidArgumentError(`shard ${describeValue(shardId)} is not a whole number from 0 to ${MAX_SHARDS - 1}`);
  }

  has(shardId: number): boolean {
    return typeof shardId === 'number' && (this.#owner[shardId] ?? 0) > 0;
  }

  /** Every shard of the map, ascending. */
  get shards(): number[] {
    const shards: number[] = [];
    this.#owner.forEach((owner, shardId) => {
      if (owner > 0) shards.push(shardId);
    });
    return shards;
  }

  /** All ranges of the map, neighbours joined whoever holds them: `1-9,12-16`. */
  get ranges(): string {
    const ranges: { from: number; to: number }[] = [];
    for (const shardId of this.shards) {
      const last = ranges.at(-1);
      if (last?.to === shardId) last.to += 1;
      else ranges.push({ from: shardId, to: shardId + 1 });
    }
    return formatShardRanges(ranges);
  }

  #claim(place: number, range: ShardRange): void {
    for (let shardId = range.from; shardId < range.to; shardId++) {
      const other = this.#owner[shardId]!;
      if (other > 0) {
        const [a, b] = [this.servers[other - 1]!, this.servers[place]!];
        throw new ShardRangeError(
          `shard ${shardId} is claimed twice: by server ${describe(a)} and by server ${describe(b)}`,
        );
      }
      this.#owner[shardId] = place + 1;
    }
  }
}

function describe({ name, ranges }: ShardServer): string {
  return `${JSON.stringify(name)} (${formatShardRanges(ranges)})`;
}
