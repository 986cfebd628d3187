import { NotificationHub } from '../listen/index.ts';
import { Position } from './position.ts';
import { Sequencer } from './sequencer.ts';
import { ShardTail } from './shard-tail.ts';
import { ShardWatch } from './shard-watch.ts';
import type { Shards } from './shards.ts';

const CHANNEL = 'hypervault_streams';
/** Shards followed by one process are looked at no more often than this, all together. */
const MAX_POLLS_PER_SECOND = 64;

/**
 * What happens at the end of the shards: runs the sequencing passes, listens for those of other processes, and wakes
 * whoever waits. One listening session for each server with a shard that somebody follows.
 */
export class LiveShards {
  readonly #shards: Shards;
  readonly #sequencers = new Map<number, Sequencer>();
  readonly #watches = new Map<number, ShardWatch>();
  readonly #tails = new Map<number, ShardTail>();
  readonly #hubs = new Map<string, NotificationHub>();

  constructor(shards: Shards) {
    this.#shards = shards;
  }

  sequencer(shardId: number): Sequencer {
    let sequencer = this.#sequencers.get(shardId);
    if (sequencer === undefined) {
      sequencer = new Sequencer(this.#shards, shardId, {
        onHead: (head) => this.#watches.get(shardId)?.wake(head),
        isWatched: () => this.#watches.get(shardId)?.watched ?? false,
      });
      this.#sequencers.set(shardId, sequencer);
    }
    return sequencer;
  }

  /** Calls back whenever there may be new events in the shard, until the returned function is called. */
  watch(shardId: number, wake: (head?: bigint) => void): () => void {
    let watch = this.#watches.get(shardId);
    if (watch === undefined) {
      watch = new ShardWatch(this.sequencer(shardId), () => this.#pollMs);
      this.#watches.set(shardId, watch);
    }
    this.#listen(shardId);
    return watch.add(wake);
  }

  tail(shardId: number): ShardTail {
    let tail = this.#tails.get(shardId);
    if (tail === undefined) {
      tail = new ShardTail(this.#shards, shardId, (wake) => this.watch(shardId, wake));
      this.#tails.set(shardId, tail);
    }
    return tail;
  }

  /** The end of every shard, everything that is committed by now included. */
  async endOf(shardIds: readonly number[]): Promise<Position> {
    const heads = await Promise.all(
      shardIds.map(async (shardId) => [shardId, await this.sequencer(shardId).pass()] as const),
    );
    return new Position(heads);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#tails.values()].map((tail) => tail.close()));
    for (const watch of this.#watches.values()) watch.stop();
    await Promise.all([...this.#hubs.values()].map((hub) => hub.close().catch(() => {})));
    await Promise.all([...this.#sequencers.values()].map((sequencer) => sequencer.close()));
  }

  /** `pollMs`, more seldom when very many shards are followed. */
  get #pollMs(): number {
    const followed = [...this.#watches.values()].filter(({ watched }) => watched).length;
    return Math.max(this.#shards.options.pollMs, (followed * 1_000) / MAX_POLLS_PER_SECOND);
  }

  #listen(shardId: number): void {
    const server = this.#shards.serverOf(shardId);
    if (this.#hubs.has(server) || this.#shards.closed || this.#shards.options.pollOnly) return;
    const endpoint = this.#shards.datastore.endpointOf(server);
    if (endpoint === undefined) return;
    const hub = new NotificationHub(endpoint);
    hub.on('error', ({ error }) => this.#shards.options.logger?.warn({ server, error }, 'listening failed'));
    hub.on('state', ({ from, to, reason }) =>
      this.#shards.options.logger?.debug({ server, from, to, reason }, 'the session that listens'),
    );
    this.#hubs.set(server, hub);
    hub.subscribe(CHANNEL, ({ payload }) => this.#notified(payload), { onCatchUp: () => this.#wakeAll(server) });
  }

  /** The payload is the shard's schema and its head. */
  #notified(payload: string): void {
    const [schema, head] = payload.split(' ');
    for (const [shardId, watch] of this.#watches) {
      if (this.#shards.datastore.schemaOf(shardId) === schema) watch.wake(head ? BigInt(head) : undefined);
    }
  }

  #wakeAll(server: string): void {
    for (const [shardId, watch] of this.#watches) if (this.#shards.serverOf(shardId) === server) watch.wake();
  }
}
