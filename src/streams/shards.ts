import { setMaxListeners } from 'node:events';
import type { Cursor, Datastore } from '../core/index.ts';
import { AbortedError, ClosedError } from '../errors.ts';
import { abortable } from '../internal/abortable.ts';
import { Backoff } from '../internal/backoff.ts';
import { linkSignals } from '../internal/link-signals.ts';
import { quoteIdentifier } from '../internal/quote.ts';
import { sleep } from '../internal/sleep.ts';
import { explained, failureKind } from './failure.ts';
import type { LentSession, Row, Statement } from './lane.ts';
import { LaneSet } from './lane-set.ts';
import type { ResolvedStreamsOptions } from './options.ts';

/** What a session is used for: each kind has sessions of its own, so that none waits behind another. */
export type Work = 'append' | 'read' | 'pass' | 'group';

const DEPTH: { readonly [Kind in Work]: number } = { append: 1, read: 8, pass: 8, group: 4 };

export interface RunOptions {
  readonly signal?: AbortSignal | undefined;
  /** Tries again until then (`Date.now()`), while the server is away. @default now + retryMs */
  readonly until?: number | undefined;
}

/** Pauses between looks at the map, when something is not where it was. */
const MAP_LOOKS_MS = [10, 20, 40, 80, 160];

/** The shards as streams see them: sessions of the Datastore's pools, by kind of work; failures survived. */
export class Shards {
  readonly options: ResolvedStreamsOptions;
  readonly #datastore: Datastore;
  readonly #lanes = new Map<string, LaneSet>();
  readonly #closing = new AbortController();
  readonly #schemas = new Map<number, string>();

  constructor(datastore: Datastore, options: ResolvedStreamsOptions) {
    this.#datastore = datastore;
    this.options = options;
    // Everything that waits listens to it: many at once are no leak.
    setMaxListeners(0, this.#closing.signal);
  }

  get datastore(): Datastore {
    return this.#datastore;
  }

  get epoch(): number {
    return this.#datastore.epoch;
  }

  /** Every shard of the map, ascending. */
  get ids(): number[] {
    return this.#datastore.map.shards;
  }

  /** Aborted when the store closes. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  get closed(): boolean {
    return this.#closing.signal.aborted;
  }

  serverOf(shardId: number): string {
    return this.#datastore.map.serverOf(shardId).name;
  }

  /** `"shard0005"`, quoted. */
  schema(shardId: number): string {
    let schema = this.#schemas.get(shardId);
    if (schema === undefined) {
      schema = quoteIdentifier(this.#datastore.schemaOf(shardId));
      this.#schemas.set(shardId, schema);
    }
    return schema;
  }

  /** Runs statements on a shard's server, once; errors as they come. */
  send(work: Work, shardId: number, statements: readonly Statement[]): Promise<Row[][]> {
    return this.lanes(work, shardId).run(statements);
  }

  lanes(work: Work, shardId: number): LaneSet {
    const server = this.serverOf(shardId);
    const key = `${work} ${server}`;
    let lanes = this.#lanes.get(key);
    if (lanes === undefined) {
      const { maxAppendSessions, maxReadSessions, requestTimeoutMs } = this.options;
      lanes = new LaneSet({
        max: work === 'append' ? maxAppendSessions : work === 'read' ? maxReadSessions : 1,
        depth: DEPTH[work],
        prepare: true,
        requestTimeoutMs,
        lend: () => this.#lend(shardId),
      });
      this.#lanes.set(key, lanes);
    }
    return lanes;
  }

  /**
   * Runs one statement that may be repeated, until it succeeds: sessions that are lost, servers that are away and shards
   * that move are survived for `retryMs`.
   */
  async query(work: Work, shardId: number, statement: Statement, options: RunOptions = {}): Promise<Row[]> {
    const run = async (): Promise<Row[]> => (await this.send(work, shardId, [statement]))[0]!;
    return this.persist(run, options);
  }

  /** Does something again until it succeeds, fails for good, or the time is over. */
  async persist<T>(attempt: () => Promise<T>, { signal, until }: RunOptions = {}): Promise<T> {
    // Without a signal the lanes settle everything when they close.
    if (signal === undefined) return this.#persist(attempt, this.closing, undefined, until);
    using linked = linkSignals([signal, this.closing]);
    return await this.#persist(
      () => abortable(attempt(), linked.signal, 'an operation of the event store'),
      linked.signal,
      signal,
      until,
    );
  }

  async #persist<T>(
    attempt: () => Promise<T>,
    stop: AbortSignal,
    signal: AbortSignal | undefined,
    until: number | undefined,
  ): Promise<T> {
    const backoff = new Backoff({ baseMs: 20, maxMs: 1_000 });
    for (let deadline = until; ; ) {
      if (stop.aborted) throw this.stopError(signal);
      const { epoch } = this.#datastore.map;
      try {
        return await attempt();
      } catch (error) {
        if (stop.aborted) throw this.stopError(signal);
        const kind = failureKind(error);
        if (kind === 'moved' && (await this.isNewer(epoch))) continue;
        if (kind === 'moved' || kind === 'final') throw explained(error);
        deadline ??= Date.now() + this.options.retryMs;
        if (Date.now() >= deadline) throw error;
        await sleep(backoff.next(), { signal: stop }).catch(() => {});
      }
    }
  }

  /**
   * Asks for the newest shard map, and says whether it is newer than this epoch. A move takes a right away some ms before
   * the map says why, so a map that can change is asked for a while.
   */
  async isNewer(epoch: bigint): Promise<boolean> {
    for (const pauseMs of MAP_LOOKS_MS) {
      const map = await this.#datastore.refreshMap();
      if (map.epoch > epoch) return true;
      if (map.epoch === 0n) return false;
      await sleep(pauseMs, { signal: this.closing });
    }
    return false;
  }

  get mapEpoch(): bigint {
    return this.#datastore.map.epoch;
  }

  closedError(): ClosedError {
    return new ClosedError('the event store is closed');
  }

  stopError(signal: AbortSignal | undefined): Error {
    return this.closed ? this.closedError() : new AbortedError('an operation of the event store', signal?.reason);
  }

  /** Tells everyone who waits to stop. */
  beginClose(): void {
    this.#closing.abort();
  }

  async close(): Promise<void> {
    this.beginClose();
    await Promise.all([...this.#lanes.values()].map((lanes) => lanes.close(this.options.closeTimeoutMs)));
  }

  async #lend(shardId: number): Promise<LentSession> {
    const cursor: Cursor = await this.#datastore.getConnection(shardId);
    return {
      client: await cursor.rawClient(),
      giveBack: () => this.#datastore.putConnection(cursor),
    };
  }
}
