import type { Client } from 'pg';
import { ConfigurationError, SchemaError } from '../errors.ts';
import { checkServer } from './first-contact.ts';
import { MovedCalls, type ServerDirectory } from './moved-calls.ts';
import type { ResolvedDatastoreOptions } from './options.ts';
import { Replica } from './replica.ts';
import { checkRoutingSettings, type RoutingSettings } from './routing.ts';
import { Server, type ServerHost } from './server.ts';
import type { ShardMap, ShardServer } from './shard-map.ts';
import type { HandOver, ShardMapSource } from './shard-map-source.ts';
import type { WriteToken } from './write-token.ts';

/** How long callers who still hold a client are waited for when a server leaves the map. */
const LEAVE_MS = 30_000;

/** How many servers are asked at once how routing keys find their shard. */
const ASKED_FOR_ROUTING = 3;

/**
 * The servers of the shard map, at run time: made when the map names them, closed when it no longer does.
 */
export class Servers implements ServerHost, ServerDirectory {
  /** Calls that find their shard gone. */
  readonly moved: MovedCalls;
  readonly #source: ShardMapSource;
  readonly #options: ResolvedDatastoreOptions;
  readonly #servers = new Map<string, Server>();
  readonly #unsubscribe: readonly ((() => void) | undefined)[];
  readonly #replicas = new Map<string, Replica>();
  /** No longer in the map; callers who hold a client of theirs are waited for. */
  readonly #leaving = new Set<Server>();
  /** Since when the newest map is known here (`performance.now()`). */
  #mapSince = 0;
  #routing: RoutingSettings | undefined;

  constructor(source: ShardMapSource, options: ResolvedDatastoreOptions) {
    this.#source = source;
    this.#options = options;
    this.moved = new MovedCalls(this, source, options.poolBlockTimeoutMs);
    if (options.slots !== undefined && options.firstShard !== undefined) {
      this.#routing = checkRoutingSettings({ slots: options.slots, firstShard: options.firstShard });
    }
    this.#follow(source.current);
    this.#unsubscribe = [
      source.changed((map) => this.#follow(map)),
      source.announced?.((handOver) => this.#makeReady(handOver)),
    ];
  }

  get map(): ShardMap {
    return this.#source.current;
  }

  get all(): Server[] {
    return [...this.#servers.values()];
  }

  /** Where reads may go that `maxReplicaLagMs` allows: standbys of {@link all}. */
  get standbys(): Server[] {
    return [...this.#replicas.values()].map(({ server }) => server);
  }

  /** Routing as configured, or as the first server contacted has it. */
  get routing(): RoutingSettings | undefined {
    return this.#routing;
  }

  /** @throws UnknownShardError */
  of(shardId: number): Server {
    return this.#servers.get(this.#source.current.serverOf(shardId).name)!;
  }

  named(name: string): Server | undefined {
    return this.#servers.get(name);
  }

  /** The standby that may answer a read of somebody who wrote what the token says; `undefined` to ask the primary. */
  replicaFor(shardId: number, token: WriteToken): Replica | undefined {
    const { name } = this.#source.current.serverOf(shardId);
    const replica = this.#replicas.get(name);
    // Who wrote by a newer map may have written where this one does not look. And what has come to a server by a move is
    // on its standby a little later than on itself.
    if (replica === undefined || token.epoch > this.map.epoch) return undefined;
    return replica.mayAnswer(this.#mapSince, token.behind(name)) ? replica : undefined;
  }

  async contact(server: Server, client: Client): Promise<void> {
    const { epoch, schemaPrefix, slots, firstShard } = this.#options;
    const settings = await checkServer(client, { epoch, schemaPrefix, slots, firstShard }, server.name);
    await this.#source.admit?.(server.name, client);
    if (settings.slots === undefined || settings.firstShard === undefined) return;
    this.#routing ??= { slots: settings.slots, firstShard: settings.firstShard };
    if (settings.slots === this.#routing.slots && settings.firstShard === this.#routing.firstShard) return;
    throw new SchemaError(
      `${server.name} was installed with ${settings.slots} slots from shard ${settings.firstShard}, another server with ` +
        `${this.#routing.slots} from ${this.#routing.firstShard}; they can't be one datastore`,
    );
  }

  async close(deadlineMs: number): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe?.();
    await Promise.all([...this.all, ...this.standbys, ...this.#leaving].map((server) => server.close(deadlineMs)));
  }

  #follow(map: ShardMap): void {
    this.#mapSince = performance.now();
    const named = new Set<string>();
    for (const server of map.servers) {
      named.add(server.name);
      if (!this.#servers.has(server.name)) this.#add(server);
    }
    for (const [name, server] of this.#servers) {
      if (named.has(name)) continue;
      this.#servers.delete(name);
      this.#leave(server);
      const standby = this.#replicas.get(name)?.server;
      if (standby !== undefined) this.#leave(standby);
      this.#replicas.delete(name);
    }
  }

  #leave(server: Server): void {
    this.#leaving.add(server);
    void server.leave(LEAVE_MS).finally(() => this.#leaving.delete(server));
  }

  /** A program that first learns of the shard's next server in the hand-over makes its callers wait several times longer. */
  #makeReady({ shardId, server }: HandOver): void {
    const next = this.#servers.get(server);
    if (next === undefined || !this.map.has(shardId)) return;
    const now = this.of(shardId);
    if (now !== next) next.makeReady(shardId, now);
  }

  #add(entry: ShardServer): void {
    const server = new Server(entry, this.#options, this);
    this.#servers.set(entry.name, server);
    const { maxReplicaLagMs } = this.#options;
    if (maxReplicaLagMs === undefined || server.endpoint.settings.hosts.length < 2) return;
    this.#replicas.set(entry.name, new Replica(entry, server, { ...this.#options, maxReplicaLagMs }, this));
  }

  /**
   * Asks how routing keys find their shard, where nobody said it. Every server tells the same; some are asked, so that one
   * that is away costs nothing, and a program that starts does not open a session with each of hundreds.
   */
  async learnRouting(): Promise<void> {
    if (this.#routing !== undefined) return;
    const { all } = this;
    const first = Math.floor(Math.random() * all.length);
    const asked = all.map((_, n) => all[(first + n) % all.length]!).slice(0, ASKED_FOR_ROUTING);
    await Promise.any(asked.map((server) => server.facts())).catch(({ errors }: AggregateError) => {
      throw errors[0] ?? this.#routingUnknown();
    });
  }

  /** @throws ConfigurationError when nobody said how routing keys find their shard */
  requireRouting(): RoutingSettings {
    if (this.#routing !== undefined) return this.#routing;
    throw this.#routingUnknown();
  }

  #routingUnknown(): ConfigurationError {
    return new ConfigurationError(
      'routing is not known yet: give slots and firstShard as they were fixed at install, or call connect() first',
    );
  }
}
