import { shardFor } from '../../core/index.ts';
import { ConfigurationError } from '../../errors.ts';
import type { StoredRouting } from '../catalogue/table-rows.ts';
import type { RouteBy } from '../config/routing-config.ts';
import type { PlacedShards } from '../config/topology.ts';
import type { Destination, Router } from './router.ts';

/** How many routing keys' destinations are remembered: hashing one costs more than all the rest of routing. */
const REMEMBERED_KEYS = 65_536;

/** All the places of a topology, one object each, and the routers that lead to them. */
export class Places {
  #shards: PlacedShards | null;
  readonly #reread: (() => Promise<PlacedShards>) | null;
  readonly #known = new Map<string, Destination>();

  /** @param reread - reads the newest map, where it can change */
  constructor(shards: PlacedShards | null, reread: (() => Promise<PlacedShards>) | null = null) {
    this.#shards = shards;
    this.#reread = reread;
  }

  /** Whether the map can change. */
  get isLive(): boolean {
    return this.#reread !== null;
  }

  /** Takes the newest map. Routers made before go by the old one. */
  async refresh(): Promise<void> {
    if (this.#reread !== null) this.#shards = await this.#reread();
  }

  /** The map as it is known, `null` without shards. */
  get map(): PlacedShards['map'] | null {
    return this.#shards?.map ?? null;
  }

  /** A plain schema on a server. */
  schema(server: string, schema: string): Destination {
    return this.#place(server, schema, null);
  }

  /** A shard's schema, on the server that holds it. */
  shard(shard: number): Destination {
    const { map, prefix } = this.#placed();
    return this.#place(map.serverOf(shard).name, `${prefix}${String(shard).padStart(4, '0')}`, shard);
  }

  /** The shards that keys can lead to, ascending. */
  allShards(): Destination[] {
    const { routing } = this.#placed();
    return Array.from({ length: routing.slots }, (_, slot) => this.shard(routing.firstShard + slot));
  }

  /** Every server that holds shards; of a map that can change those that keys can lead to, for these stay where they are. */
  shardServers(): string[] {
    if (this.isLive) return [...new Set(this.allShards().map(({ server }) => server))];
    return this.#placed().map.servers.map(({ name }) => name);
  }

  /**
   * The router of a table.
   * @param schema - the target schema of a table that is not spread
   * @param by - the rule of a table that is; needed when its routing is `by`
   */
  router(routing: StoredRouting, server: string, schema: string, by: RouteBy | null): Router {
    switch (routing.kind) {
      case 'one':
        return { kind: 'fixed', destinations: [this.schema(server, schema)] };
      case 'reference':
        return { kind: 'fixed', destinations: this.shardServers().map((name) => this.schema(name, schema)) };
      case 'by':
        return {
          kind: 'by-key',
          destinations: this.allShards(),
          columns: routing.columns,
          route: this.#route(by),
        };
    }
  }

  #route(by: RouteBy | null): (values: readonly (string | null)[]) => Destination {
    const { routing } = this.#placed();
    const remembered = new Map<string, Destination>();
    const find = (key: string): Destination => {
      let destination = remembered.get(key);
      if (destination === undefined) {
        destination = this.shard(shardFor(key, routing));
        if (remembered.size >= REMEMBERED_KEYS) remembered.clear();
        remembered.set(key, destination);
      }
      return destination;
    };
    const keyOf = by?.key ?? null;
    if (keyOf !== null) return (values) => find(keyOf(...values));
    return ([value]) => {
      // A row that belongs to nobody has to live somewhere: all of them in the shard of the empty key
      return find(value ?? '');
    };
  }

  #placed(): PlacedShards {
    if (this.#shards === null) throw new ConfigurationError('the configuration names no shards');
    return this.#shards;
  }

  #place(server: string, schema: string, shard: number | null): Destination {
    const key = `${server}\0${schema}`;
    let place = this.#known.get(key);
    if (place === undefined) {
      place = { server, schema, shard };
      this.#known.set(key, place);
    }
    return place;
  }
}
