import { createHash } from 'node:crypto';
import { ConfigurationError, InvalidArgumentError } from '../errors.ts';
import { describeValue } from '../internal/describe-value.ts';
import { MAX_SHARDS } from './id-layout.ts';

/**
 * How routing keys find their shard. Fixed at the first install and stored in the database: another number of slots
 * would give every key another home.
 */
export interface RoutingSettings {
  /** How many slots keys are hashed to. */
  readonly slots: number;
  /** The shard of slot 0; slot `n` is shard `firstShard + n`. */
  readonly firstShard: number;
}

/**
 * The slot of a routing key: the first four bytes of the MD5 of its UTF-8 form, big-endian, modulo `slots`.
 * Frozen: stored rows rest on it. In SQL: `('x' || left(md5(key), 8))::bit(32)::bigint % slots`.
 *
 * @throws InvalidArgumentError for what Postgres could not hash the same way: no text, NUL, a lone surrogate
 */
export function slotOf(routingKey: string, slots: number): number {
  if (typeof routingKey !== 'string') {
    throw new InvalidArgumentError(`a routing key is a text, not ${describeValue(routingKey)}`);
  }
  if (/[\0\p{Surrogate}]/u.test(routingKey)) {
    const what = routingKey.includes('\0') ? 'a NUL character' : 'half of a surrogate pair';
    throw new InvalidArgumentError(
      `the routing key ${describeValue(routingKey)} holds ${what}; Postgres has no such text`,
    );
  }
  return createHash('md5').update(routingKey, 'utf8').digest().readUInt32BE(0) % slots;
}

/**
 * The shard of a routing key. Never changes when shards or servers are added.
 *
 * @example
 * ```ts
 * shardFor('acme', { slots: 16, firstShard: 1 });   // 2
 * ```
 */
export function shardFor(routingKey: string, { slots, firstShard }: RoutingSettings): number {
  return firstShard + slotOf(routingKey, slots);
}

/**
 * Checks routing settings.
 * @throws ConfigurationError when they are no whole numbers, or reach past the last possible shard
 */
export function checkRoutingSettings({ slots, firstShard }: RoutingSettings): RoutingSettings {
  if (!Number.isInteger(slots) || slots < 1 || slots > MAX_SHARDS) {
    throw new ConfigurationError(`slots: ${String(slots)} is not a whole number from 1 to ${MAX_SHARDS}`);
  }
  if (!Number.isInteger(firstShard) || firstShard < 0 || firstShard >= MAX_SHARDS) {
    throw new ConfigurationError(`firstShard: ${String(firstShard)} is not a whole number from 0 to ${MAX_SHARDS - 1}`);
  }
  if (firstShard + slots > MAX_SHARDS) {
    throw new ConfigurationError(
      `slots: ${slots} slots from shard ${firstShard} reach past shard ${MAX_SHARDS - 1}, the last one an id can hold`,
    );
  }
  return { slots, firstShard };
}
