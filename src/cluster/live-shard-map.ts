import type { Client } from 'pg';
import type { ConnectionSettings, HandOver, Logger, ShardMap, ShardMapSource } from '../core/index.ts';
import { ConfigurationError } from '../errors.ts';
import { Backoff } from '../internal/backoff.ts';
import { assertKnownKeys } from '../internal/known-keys.ts';
import { linkSignals } from '../internal/link-signals.ts';
import { sleep } from '../internal/sleep.ts';
import { CommitKeeper, type CommitMirror } from '../kv/index.ts';
import { MapMissingError, ServerOutdatedError } from './errors.ts';
import { parseHandOver } from './hand-over.ts';
import { MapCache } from './map-cache.ts';
import { type MapDocument, mapOf, parseMapDocument } from './map-document.ts';
import { HAND_OVER_KEY, MAP_KEY, MAP_NAMESPACE, MapStore } from './map-store.ts';
import { misfits } from './misfits.ts';
import { ownersOn } from './owners.ts';

/** How a program follows the shard map. */
export interface LiveShardMapOptions {
  /** The control database. */
  readonly control: ConnectionSettings;
  /** How to reach each server the map may name. */
  readonly servers: Readonly<Record<string, ConnectionSettings>>;
  /** Where the last map is kept on disk, so that the program starts while the control database is away. */
  readonly cacheFile?: string | undefined;
  /** Longest wait for the control database at the start, when there is a map on disk. @default 3000 */
  readonly startTimeoutMs?: number | undefined;
  /** Told of maps this program can't use. @default silent */
  readonly logger?: Logger | undefined;
}

const KEYS = ['control', 'servers', 'cacheFile', 'startTimeoutMs', 'logger'];

/** Longest pause between two tries to reach a control database that is away. */
const MAX_PAUSE_MS = 10_000;
/** Longest wait of one `refresh()`. */
const REFRESH_MS = 3_000;

/**
 * The shard map that follows the control database: `new Datastore(await liveShardMap({ control, servers }))`.
 *
 * 1. The epoch never falls: an older map, from a mirror that lags or a file on disk, is never taken for a newer one.
 * 2. A map this program can't use (a server it does not know) is told and left aside; the one before stays.
 * 3. Without the control database the last map is good: truth lies in the shards, and who comes to the wrong one is told.
 */
export class LiveShardMap implements ShardMapSource {
  readonly #options: LiveShardMapOptions;
  readonly #store: MapStore;
  readonly #keeper: CommitKeeper;
  readonly #cache: MapCache | undefined;
  readonly #listeners = new Set<(map: ShardMap) => void>();
  readonly #announcedTo = new Set<(handOver: HandOver) => void>();
  readonly #stop = new AbortController();
  #current: ShardMap | undefined;
  #mirror: CommitMirror | undefined;
  #following: Promise<void> | undefined;
  #writing: Promise<void> = Promise.resolve();

  /** @internal use {@link liveShardMap} */
  constructor(options: LiveShardMapOptions) {
    this.#options = options;
    this.#store = new MapStore(options.control);
    this.#keeper = new CommitKeeper({ connection: options.control, table: MAP_NAMESPACE });
    this.#cache = options.cacheFile === undefined ? undefined : new MapCache(options.cacheFile);
  }

  get current(): ShardMap {
    return this.#current!;
  }

  /** Whether the control database is being followed at this moment, or the map on disk has to do. */
  get following(): boolean {
    return this.#mirror !== undefined;
  }

  changed(listener: (map: ShardMap) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  announced(listener: (handOver: HandOver) => void): () => void {
    this.#announcedTo.add(listener);
    return () => this.#announcedTo.delete(listener);
  }

  /** Asks the control database. When it is away, what is known stays. */
  async refresh({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<ShardMap> {
    using limit = linkSignals([this.#stop.signal, signal], REFRESH_MS);
    try {
      const newest = await this.#store.read({ signal: limit.signal });
      if (newest !== null) this.#take(newest.document);
    } catch (error) {
      if (signal?.aborted) throw error;
      this.#options.logger?.warn({ error }, 'the control database could not be asked for the shard map');
    }
    return this.current;
  }

  /** Compares what a server says of its shards with the map. @throws ServerOutdatedError */
  async admit(server: string, client: Client): Promise<void> {
    const owners = await ownersOn(client, server);
    if (owners === undefined || misfits(server, this.current, owners).length === 0) return;
    // A map that is old would blame a server that is right; so would one that changed while the server was asked.
    for (let map = await this.refresh(); ; ) {
      const problems = misfits(server, map, (await ownersOn(client, server)) ?? []);
      if (problems.length === 0) return;
      const since = await this.refresh();
      if (since.epoch === map.epoch) throw new ServerOutdatedError(server, map.epoch, problems);
      map = since;
    }
  }

  /** @internal */
  async open(): Promise<void> {
    const { startTimeoutMs = 3_000 } = this.#options;
    const onDisk = await this.#cache?.read();
    if (onDisk !== undefined) this.#take(onDisk);
    const following = this.#follow(this.#stop.signal);
    if (this.#current === undefined) await following;
    else if (!(await settles(following, startTimeoutMs))) {
      this.#options.logger?.warn({}, 'the control database is away; going on with the shard map on disk');
      this.#following = following.catch(() => this.#keepTrying());
    }
    if (this.#current === undefined) {
      throw new MapMissingError(
        'the control database holds no shard map: hypervault init makes one where the configuration says shards: live',
      );
    }
  }

  /** Stops following; the map stays as it is. */
  async close(): Promise<void> {
    this.#stop.abort();
    // Whoever still tries to reach the control database is not waited for.
    if (this.#mirror === undefined) await Promise.all([this.#keeper.stop(), this.#store.stop()]);
    await this.#following;
    await this.#mirror?.close();
    await this.#keeper.stop();
    await this.#store.stop();
    await this.#writing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    await this.#keeper.start();
    await this.#store.start();
    const mirror = await this.#keeper.mirror({ prefix: MAP_KEY, signal });
    this.#mirror = mirror;
    mirror.on('error', ({ error }) => this.#options.logger?.warn({ error }, 'the shard map could not be followed'));
    mirror.on('change', ({ key, commit }) => {
      if (key === MAP_KEY) this.#takePayload(commit?.payload);
      if (key === HAND_OVER_KEY) this.#announce(commit?.payload);
    });
    this.#takePayload(mirror.current.get(MAP_KEY)?.payload);
  }

  async #keepTrying(): Promise<void> {
    const { signal } = this.#stop;
    const backoff = new Backoff({ baseMs: 200, maxMs: MAX_PAUSE_MS });
    while (!signal.aborted && this.#mirror === undefined) {
      await sleep(backoff.next(), { signal, unref: true }).catch(() => {});
      if (!signal.aborted) await this.#follow(signal).catch(() => {});
    }
  }

  #announce(payload: Buffer | null | undefined): void {
    const handOver = payload ? parseHandOver(payload) : undefined;
    if (handOver !== undefined) for (const listener of this.#announcedTo) listener(handOver);
  }

  #takePayload(payload: Buffer | null | undefined): void {
    if (!payload) return;
    try {
      this.#take(parseMapDocument(payload));
    } catch (error) {
      this.#options.logger?.warn({ error }, 'a shard map that this program can’t use was left aside');
      if (this.#current === undefined) throw error;
    }
  }

  #take(document: MapDocument): void {
    if (this.#current !== undefined && document.epoch <= this.#current.epoch) return;
    this.#current = mapOf(document, this.#options.servers);
    if (this.#cache !== undefined) {
      const cache = this.#cache;
      this.#writing = this.#writing
        .then(() => cache.write(document))
        .catch((error: unknown) => this.#options.logger?.warn({ error }, 'the shard map could not be kept on disk'));
    }
    for (const listener of this.#listeners) listener(this.#current);
  }
}

/** Whether it succeeds within a time; a failure counts as not. */
async function settles(work: Promise<void>, withinMs: number): Promise<boolean> {
  const stop = new AbortController();
  const late = sleep(withinMs, { signal: stop.signal }).then(
    () => false,
    () => false,
  );
  const well = await Promise.race([
    work.then(
      () => true,
      () => false,
    ),
    late,
  ]);
  stop.abort();
  return well;
}

/**
 * Opens a shard map that follows the control database.
 *
 * @example
 * ```ts
 * const map = await liveShardMap({ control, servers: { db1, db2 }, cacheFile: '/var/lib/app/shard-map.json' });
 * const db = new Datastore(map);
 * ```
 * @throws MapMissingError when there is no map yet, ConfigurationError
 */
export async function liveShardMap(options: LiveShardMapOptions): Promise<LiveShardMap> {
  assertKnownKeys(options, KEYS, 'liveShardMap');
  if (options.control === undefined) throw new ConfigurationError('liveShardMap: option "control" is missing');
  if (options.servers === undefined) throw new ConfigurationError('liveShardMap: option "servers" is missing');
  const map = new LiveShardMap(options);
  try {
    await map.open();
  } catch (error) {
    await map.close();
    throw error;
  }
  return map;
}
