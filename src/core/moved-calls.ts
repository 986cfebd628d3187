import { ClosedError } from '../errors.ts';
import { isConnectionLoss } from '../internal/sqlstate.ts';
import { ShardMovedError } from './errors.ts';
import type { ReadCall } from './gathered-reads.ts';
import type { WriteCall } from './gathered-writes.ts';
import type { Lane } from './lane.ts';
import { type Fence, fenceOf, MapFollower, mayBeFenced, mayHaveMoved, OWNER_OF } from './moved-shard.ts';
import type { Server } from './server.ts';
import type { ShardMap } from './shard-map.ts';
import type { ShardMapSource } from './shard-map-source.ts';

/** The servers, as calls find them that look for their shard. */
export interface ServerDirectory {
  readonly map: ShardMap;
  of(shardId: number): Server;
  named(name: string): Server | undefined;
}

/** Calls that were turned away where they were sent: they wait for the map to say where their shard lives now. */
export class MovedCalls {
  readonly #servers: ServerDirectory;
  readonly #follower: MapFollower;
  readonly #waitMs: number;

  /** @param waitMs - how long a call waits for its shard at most */
  constructor(servers: ServerDirectory, source: ShardMapSource, waitMs: number) {
    this.#servers = servers;
    this.#follower = new MapFollower(source);
    this.#waitMs = waitMs;
  }

  /** Runs `work` on the shard's server, and again when the shard turns out to have moved. For work that is repeatable. */
  async retry<T>(shardId: number, work: (server: Server) => Promise<T>): Promise<T> {
    for (let until = 0; ; ) {
      const server = this.#servers.of(shardId);
      try {
        return await work(server);
      } catch (error) {
        if (this.hasLeft(server, shardId, error)) continue;
        if (!mayHaveMoved(error)) throw error;
        until ||= this.#deadline();
        if ((await this.#elsewhere(server, shardId, error, until)) === undefined) throw error;
      }
    }
  }

  /** Like {@link retry}, and again when the session is lost, for a bounded time. For reads. */
  async retryRead<T>(shardId: number, read: (server: Server) => Promise<T>): Promise<T> {
    const until = this.#deadline();
    for (;;) {
      try {
        return await this.retry(shardId, read);
      } catch (error) {
        if (!isConnectionLoss(error) || Date.now() > until) throw error;
      }
    }
  }

  /** Whether a call was turned away because its server has left the map, and the shard is another's by now. */
  hasLeft(server: Server, shardId: number, error: unknown): boolean {
    return error instanceof ClosedError && this.#servers.of(shardId) !== server;
  }

  /**
   * What a callback's error means: {@link ShardMovedError} when the shard lives elsewhere by a newer map.
   *
   * @param keptWork - something the callback did before may have been kept
   */
  async explain(shardId: number, epoch: bigint, error: unknown, keptWork: boolean): Promise<unknown> {
    if (!mayHaveMoved(error)) return error;
    const server = this.#servers.of(shardId);
    const fence = await this.#fenceOf(server, shardId, error);
    const moved = fence
      ? await this.#follower.behindFence(server.name, shardId, fence, this.#deadline())
      : (await this.#follower.refresh()).epoch > epoch;
    if (!moved) return error;
    return new ShardMovedError(shardId, this.#servers.map.serverOf(shardId).name, {
      cause: error,
      retryable: !keptWork,
    });
  }

  /** @param lane - the session that met the error, which can be asked */
  reads(server: Server, calls: readonly ReadCall[], error: unknown, lane?: Lane): void {
    this.#resend(server, calls, error, lane, (now, call) => now.takeRead(call));
  }

  writes(server: Server, calls: readonly WriteCall[], error: unknown, lane: Lane | undefined): void {
    this.#resend(server, calls, error, lane, (now, call) => now.takeWrite(call));
  }

  /** Calls of one shard, together: the server and the map are asked once for all of them. */
  #resend<Call extends ReadCall | WriteCall>(
    server: Server,
    calls: readonly Call[],
    error: unknown,
    lane: Lane | undefined,
    take: (now: Server, call: Call) => void,
  ): void {
    for (const call of calls) call.retryUntil ||= this.#deadline();
    const until = Math.max(...calls.map(({ retryUntil }) => retryUntil));
    this.#elsewhere(server, calls[0]!.source.shardId, error, until, lane).then(
      (now) => {
        for (const call of calls) {
          if (now === undefined) call.fail(error);
          else take(now, call);
        }
      },
      (failure: unknown) => {
        for (const call of calls) call.fail(failure);
      },
    );
  }

  /** The server to send a call to that `server` turned away, or `undefined` when its error is the caller's own. */
  async #elsewhere(
    server: Server,
    shardId: number,
    error: unknown,
    until: number,
    lane?: Lane,
  ): Promise<Server | undefined> {
    const before = this.#servers.map;
    const known = before.has(shardId) ? this.#servers.of(shardId) : undefined;
    if (known !== undefined && known !== server) return known; // the map moved on while the call was under way
    const fence = await this.#fenceOf(server, shardId, error, lane);
    // The first session with the new server is opened while the map is waited for.
    if (fence?.server !== undefined)
      this.#servers
        .named(fence.server)
        ?.facts()
        .catch(() => {});
    const moved = fence
      ? await this.#follower.behindFence(server.name, shardId, fence, until)
      : (await this.#follower.refresh()).epoch > before.epoch;
    return moved ? this.#servers.of(shardId) : undefined;
  }

  /** The fence behind an error. A right or a sequence may have ended with the shard's stay here: its owner row tells. */
  async #fenceOf(server: Server, shardId: number, error: unknown, lane?: Lane): Promise<Fence | undefined> {
    if (!mayBeFenced(error) || this.#servers.map.epoch === 0n) return fenceOf(error);
    try {
      const question = { shardId, text: OWNER_OF, values: [shardId] };
      // A session that is at hand: everybody waits, and another one may have to be opened first. It may be given up as the
      // question is under way.
      const own = lane?.usable ? await lane.ask(question).catch(ifNotLost) : undefined;
      const rows = own ?? (await server.run(question)).rows;
      const [owner, epoch] = (rows[0] ?? []) as (string | null)[];
      return owner && owner !== server.name ? { server: owner, epoch: BigInt(epoch ?? 0) } : undefined;
    } catch {
      return undefined; // an installation without the cluster module
    }
  }

  #deadline(): number {
    return Date.now() + this.#waitMs;
  }
}

function ifNotLost(error: unknown): undefined {
  if (!isConnectionLoss(error)) throw error;
}
