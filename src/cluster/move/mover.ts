import type { Client } from 'pg';
import { type ConnectionSettings, schemaName } from '../../core/index.ts';
import { applySchema } from '../../internal/migrations.ts';
import { unknownServer } from '../../internal/unknown-server.ts';
import { MapMissingError } from '../errors.ts';
import type { MapDocument } from '../map-document.ts';
import { MapStore } from '../map-store.ts';
import { MoveBusyError, MoveStateError } from './errors.ts';
import { MoveJournal, type MoveRow } from './journal.ts';
import { holds } from './map-change.ts';
import { Moving } from './moving.ts';
import type { MoveSetting, ResolvedMoveOptions } from './options.ts';
import { type Party, Sessions } from './parties.ts';
import { lockShard, unlockShard } from './shard-lock.ts';

/** What all moves of one call share: the control database with its map and its journal. */
export class Mover {
  readonly journal: MoveJournal;
  readonly store: MapStore;
  readonly options: ResolvedMoveOptions;
  readonly #setting: MoveSetting;
  readonly #control: Client;

  private constructor(setting: MoveSetting, options: ResolvedMoveOptions, control: Client, store: MapStore) {
    this.#setting = setting;
    this.options = options;
    this.#control = control;
    this.journal = new MoveJournal(control);
    this.store = store;
  }

  /** Runs `work` with the control database at hand, brought up to date. */
  static async with<T>(
    setting: MoveSetting,
    options: ResolvedMoveOptions,
    work: (mover: Mover) => Promise<T>,
  ): Promise<T> {
    const sessions = new Sessions(options.signal);
    const store = new MapStore(setting.control);
    try {
      const control = await sessions.connect(setting.control);
      await applySchema(control, { module: 'cluster', scope: 'control', schema: 'hypervault', signal: options.signal });
      await store.start();
      return await work(new Mover(setting, options, control, store));
    } finally {
      await store.stop();
      await sessions.close();
    }
  }

  /** The newest map. @throws MapMissingError */
  async map(): Promise<MapDocument> {
    const newest = await this.store.read({ signal: this.options.signal });
    if (newest !== null) return newest.document;
    throw new MapMissingError(
      'the control database holds no shard map: hypervault init makes one where the configuration says shards: live, hypervault map rebuild makes it anew of the shards',
    );
  }

  /**
   * Runs `work` on one move as its only mover, with sessions of its own. What goes wrong is written into the journal.
   *
   * @param find - reads or begins the move; asked when nobody else is at the shard, so that what it finds stays so
   */
  async alone<T>(shardId: number, find: () => Promise<MoveRow>, work: (moving: Moving) => Promise<T>): Promise<T> {
    await lockShard(this.#control, 'move', shardId, 'the control database', this.options.signal);
    const sessions = new Sessions(this.options.signal);
    let found: MoveRow | undefined;
    try {
      const row = await find();
      found = row;
      const [source, target] = await Promise.all([this.party(sessions, row.source), this.party(sessions, row.target)]);
      const { journal, store, options } = this;
      const schema = schemaName(await prefixOf(source), shardId);
      return await work(new Moving(row, { schema, source, target, journal, store, options }));
    } catch (error) {
      if (found !== undefined) await this.journal.failed(found.id, error).catch(() => {});
      throw error;
    } finally {
      await sessions.close();
      await unlockShard(this.#control, 'move', shardId).catch(() => {});
    }
  }

  /** Runs `work` while nobody moves the shard, and no move of it is open. @throws MoveBusyError */
  async unmoved(shardId: number, work: () => Promise<void>): Promise<void> {
    await lockShard(this.#control, 'move', shardId, 'the control database', this.options.signal);
    try {
      const open = await this.journal.list({ open: true });
      if (open.some((move) => move.shardId === shardId)) {
        throw new MoveBusyError(shardId, `a move of shard ${shardId} has begun meanwhile`);
      }
      await work();
    } finally {
      await unlockShard(this.#control, 'move', shardId).catch(() => {});
    }
  }

  party(sessions: Sessions, name: string): Promise<Party> {
    const connection = this.connectionOf(name);
    return sessions.party(name, connection, this.#setting.between?.[name] ?? connection);
  }

  /** @throws ConfigurationError for a server nobody knows */
  connectionOf(name: string): ConnectionSettings {
    const connection = Object.hasOwn(this.#setting.servers, name) ? this.#setting.servers[name] : undefined;
    if (connection !== undefined) return connection;
    throw unknownServer('moves', name, this.servers);
  }

  get servers(): readonly string[] {
    return Object.keys(this.#setting.servers);
  }
}

/** The server that the map gives a shard to. @throws MoveStateError */
export function serverOf(map: MapDocument, shardId: number): string {
  const server = Object.keys(map.servers).find((name) => holds(map, name, shardId));
  if (server !== undefined) return server;
  throw new MoveStateError(`the map knows no shard ${shardId}; look with hypervault map show`);
}

/** What schemas of shards begin with, as fixed at install. */
export async function prefixOf({ client, name }: Party): Promise<string> {
  const { rows } = await client.query<{ prefix: string }>('select prefix from hypervault.settings');
  if (rows[0] === undefined) throw new MoveStateError(`${name} is not installed; run hypervault init`);
  return rows[0].prefix;
}
