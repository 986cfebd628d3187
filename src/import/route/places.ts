import { shardFor } from '../../core/index.ts';
import { ConfigurationError } from '../../errors.ts';
import type { StoredRouting } from '../catalogue/table-rows.ts';
import type { RouteBy } from '../config/routing-config.ts';
import type { Topology } from '../config/topology.ts';
import type { Destination, Router } from './router.ts';

/** How many routing keys' destinations are remembered: hashing one costs more than all the rest of routing. */
const REMEMBERED_KEYS = 65_536;

/** All the places of a topology, one object each, and the routers that lead to them. */
export class Places {
  readonly #topology: Topology;
  readonly #known = new Map<string, Destination>();

  constructor(topology: Topology) {
    this.#topology = topology;
  }

  /** A plain schema on a server. */
  schema(server: string, schema: string): Destination {
    return this.#place(server, schema, null);
  }

  /** A shard's schema, on the server that holds it. */
  shard(shard: number): Destination {
    const { map, prefix } = this.#shards();
    return this.#place(map.serverOf(shard).name, `${prefix}${String(shard).padStart(4, '0')}`, shard);
  }

  /** The shards that keys can lead to, ascending. */
  allShards(): Destination[] {
    const { routing } = this.#shards();
    return Array.from({ length: routing.slots }, (_, slot) => this.shard(routing.firstShard + slot));
  }

  /** Every server that holds shards. */
  shardServers(): string[] {
    return this.#shards().map.servers.map(({ name }) => name);
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
    const { routing } = this.#shards();
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

  #shards(): NonNullable<Topology['shards']> {
    if (this.#topology.shards === null) throw new ConfigurationError('the configuration names no shards');
    return this.#topology.shards;
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
