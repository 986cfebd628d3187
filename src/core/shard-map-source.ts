import type { Client } from 'pg';
import type { ShardMap } from './shard-map.ts';

/** A shard that is about to go to another server. */
export interface HandOver {
  readonly shardId: number;
  /** Its next server. */
  readonly server: string;
}

/**
 * A shard map that can change while the program runs.
 * Connection entries make one that never does; `pg-hypervault/cluster` has the one that follows the control database.
 */
export interface ShardMapSource {
  /** The newest map known. Its epoch never falls. */
  readonly current: ShardMap;
  /** Calls the listener with each new map. Returns the function that ends this. */
  changed(listener: (map: ShardMap) => void): () => void;
  /** Asks for the newest map there is, e.g. after a shard was not found where `current` says. */
  refresh(options?: { readonly signal?: AbortSignal | undefined }): Promise<ShardMap>;
  /**
   * Calls the listener when a shard is about to be handed over, so that sessions can be made ready before anybody waits.
   * A hint that may get lost, or come to nothing. Returns the function that ends this.
   */
  announced?(listener: (handOver: HandOver) => void): () => void;
  /**
   * Asked at the first contact with a server, and again after it was started anew; what it throws keeps the program off.
   * The place to find out that a server's shards are not those of the map.
   */
  admit?(server: string, client: Client): Promise<void>;
}

/** A source whose map never changes. */
export function staticShardMapSource(map: ShardMap): ShardMapSource {
  return {
    current: map,
    changed: () => () => {},
    refresh: async () => map,
  };
}

/** Tells a source from a list of connection entries. */
export function isShardMapSource(value: unknown): value is ShardMapSource {
  return typeof value === 'object' && value !== null && 'current' in value && 'changed' in value && 'refresh' in value;
}
