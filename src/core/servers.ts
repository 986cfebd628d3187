import type { Client } from 'pg';
import { ConfigurationError, SchemaError } from '../errors.ts';
import { ShardMovedError } from './errors.ts';
import { checkServer } from './first-contact.ts';
import { mayHaveMoved, type ReadCall } from './gathered-reads.ts';
import type { WriteCall } from './gathered-writes.ts';
import type { ResolvedDatastoreOptions } from './options.ts';
import { checkRoutingSettings, type RoutingSettings } from './routing.ts';
import { Server, type ServerHost } from './server.ts';
import type { ShardMap } from './shard-map.ts';
import type { ShardMapSource } from './shard-map-source.ts';

/** How long callers who still hold a client are waited for when a server leaves the map. */
const LEAVE_MS = 30_000;

/**
 * The servers of the shard map, at run time: made when the map names them, closed when it no longer does.
 * A call that finds its shard gone asks for the newest map and is sent again only if that map is newer.
 */
export class Servers implements ServerHost {
  readonly #source: ShardMapSource;
  readonly #options: ResolvedDatastoreOptions;
  readonly #servers = new Map<string, Server>();
  readonly #unsubscribe: () => void;
  #routing: RoutingSettings | undefined;

  constructor(source: ShardMapSource, options: ResolvedDatastoreOptions) {
    this.#source = source;
    this.#options = options;
    if (options.slots !== undefined && options.firstShard !== undefined) {
      this.#routing = checkRoutingSettings({ slots: options.slots, firstShard: options.firstShard });
    }
    this.#follow(source.current);
    this.#unsubscribe = source.changed((map) => this.#follow(map));
  }

  get map(): ShardMap {
    return this.#source.current;
  }

  get all(): Server[] {
    return [...this.#servers.values()];
  }

  /** Routing as configured, or as the first server contacted has it. */
  get routing(): RoutingSettings | undefined {
    return this.#routing;
  }

  /** @throws UnknownShardError */
  of(shardId: number): Server {
    return this.#servers.get(this.#source.current.serverOf(shardId).name)!;
  }

  /** Runs `work` on the shard's server; once more when the shard turns out to have moved. For work that is repeatable. */
  async retryMoved<T>(shardId: number, work: (server: Server) => Promise<T>): Promise<T> {
    const { epoch } = this.map;
    try {
      return await work(this.of(shardId));
    } catch (error) {
      if (!mayHaveMoved(error) || !(await this.#isNewer(epoch))) throw error;
      return work(this.of(shardId));
    }
  }

  /** What a callback's error means: {@link ShardMovedError} when the shard lives elsewhere by a newer map. */
  async explain(shardId: number, epoch: bigint, error: unknown): Promise<unknown> {
    if (!mayHaveMoved(error) || !(await this.#isNewer(epoch))) return error;
    return new ShardMovedError(shardId, this.map.serverOf(shardId).name, { cause: error });
  }

  movedRead(server: Server, call: ReadCall, error: unknown): void {
    this.#elsewhere(server, call.source.shardId).then(
      (now) => (now === undefined ? call.fail(error) : now.takeRead(call)),
      (failure: unknown) => call.fail(failure),
    );
  }

  movedWrite(server: Server, call: WriteCall, error: unknown): void {
    this.#elsewhere(server, call.source.shardId).then(
      (now) => (now === undefined ? call.fail(error) : now.takeWrite(call)),
      (failure: unknown) => call.fail(failure),
    );
  }

  async contact(server: Server, client: Client): Promise<void> {
    const { epoch, schemaPrefix, slots, firstShard } = this.#options;
    const settings = await checkServer(client, { epoch, schemaPrefix, slots, firstShard }, server.name);
    if (settings.slots === undefined || settings.firstShard === undefined) return;
    this.#routing ??= { slots: settings.slots, firstShard: settings.firstShard };
    if (settings.slots === this.#routing.slots && settings.firstShard === this.#routing.firstShard) return;
    throw new SchemaError(
      `${server.name} was installed with ${settings.slots} slots from shard ${settings.firstShard}, another server with ` +
        `${this.#routing.slots} from ${this.#routing.firstShard}; they can't be one datastore`,
    );
  }

  async close(deadlineMs: number): Promise<void> {
    this.#unsubscribe();
    await Promise.all(this.all.map((server) => server.close(deadlineMs)));
  }

  /** The server that has the shard by a newer map, or `undefined` when there is none. */
  async #elsewhere(server: Server, shardId: number): Promise<Server | undefined> {
    const before = this.map;
    const known = before.has(shardId) ? this.of(shardId) : undefined;
    if (known !== undefined && known !== server) return known; // the map moved on while the call was under way
    return (await this.#isNewer(before.epoch)) ? this.of(shardId) : undefined;
  }

  async #isNewer(epoch: bigint): Promise<boolean> {
    const map = await this.#source.refresh();
    return map.epoch > epoch;
  }

  #follow(map: ShardMap): void {
    const named = new Set<string>();
    for (const server of map.servers) {
      named.add(server.name);
      if (!this.#servers.has(server.name)) this.#servers.set(server.name, new Server(server, this.#options, this));
    }
    for (const [name, server] of this.#servers) {
      if (named.has(name)) continue;
      this.#servers.delete(name);
      void server.close(LEAVE_MS);
    }
  }

  /** @throws ConfigurationError when nobody said how routing keys find their shard */
  requireRouting(): RoutingSettings {
    if (this.#routing !== undefined) return this.#routing;
    throw new ConfigurationError(
      'routing is not known yet: give slots and firstShard as they were fixed at install, or call connect() first',
    );
  }
}
