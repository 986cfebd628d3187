import { InvalidArgumentError } from '../errors.ts';
import type { Body, Entity } from './entity.ts';
import { BULK_KEYS, readBulk } from './entity-bulk.ts';
import type { EntityRemoval, EntityUpdate } from './entity-changes.ts';
import type { EntityWrites } from './entity-sources.ts';
import type { EntitiesInsert, EntityInsert } from './entity-writes.ts';
import { encodeHstore } from './hstore.ts';
import { Key } from './key.ts';
import type { Server } from './server.ts';
import type { Servers } from './servers.ts';
import type { Waiting } from './waiting.ts';

/** When an entity is removed, or changed. */
export interface RemoveOptions {
  /** The entity's `updated` as it was read: anything newer is a `VersionConflictError`. */
  readonly ifUnchangedSince?: Date | undefined;
  /** An entity of another kind counts as not there. @default any kind */
  readonly kind?: number | undefined;
}

/** How an entity is changed. */
export interface UpdateOptions extends RemoveOptions {
  /** `true` puts the new body in the old one's place; else the named fields are set. @default false */
  readonly replace?: boolean | undefined;
}

const KIND_LIMIT = 32_768;

/** The built-in table of every shard: rows with a kind and an hstore body. */
export class Entities {
  readonly #servers: Servers;
  readonly #epoch: number;

  constructor(servers: Servers, epoch: number) {
    this.#servers = servers;
    this.#epoch = epoch;
  }

  get(key: Key): Promise<Entity | null> {
    const { shardId } = checkedKey(key);
    const server = this.#servers.of(shardId);
    return server.read(server.entities.reads(shardId), key.id.toString()) as Promise<Entity | null>;
  }

  getMany(keys: readonly Key[]): Promise<(Entity | null)[]> {
    if (keys.length < BULK_KEYS) return Promise.all(keys.map((key) => this.get(key)));
    return readBulk(this.#servers, keys.map(checkedKey), this.#epoch, (key) => this.get(key));
  }

  async put(shardId: number, kind: number, body: Body, key?: Key, signal?: AbortSignal): Promise<Key> {
    const server = this.#servers.of(shardId);
    checkKind(kind);
    const text = encodeHstore(body);
    if (key !== undefined && checkedKey(key).shardId !== shardId) {
      throw new InvalidArgumentError(`key ${key} belongs to shard ${key.shardId}, not to shard ${shardId}`);
    }
    const writes = await writesOf(server, shardId);
    return (await server.write<EntityInsert>({
      source: key === undefined ? writes.withNewIds : writes.underGivenIds,
      order: key === undefined ? '' : key.id.toString(),
      repeatable: key !== undefined,
      signal,
      kind,
      body: text,
    })) as Key;
  }

  async putMany(shardId: number, kind: number, bodies: readonly Body[], signal?: AbortSignal): Promise<Key[]> {
    const server = this.#servers.of(shardId);
    checkKind(kind);
    const texts = bodies.map((body) => encodeHstore(body));
    if (texts.length === 0) return [];
    return (await server.write<EntitiesInsert>({
      source: (await writesOf(server, shardId)).many,
      order: '',
      repeatable: false,
      signal,
      kind,
      bodies: texts,
    })) as Key[];
  }

  async update(
    key: Key,
    changes: Body,
    { replace = false, ifUnchangedSince, kind, signal }: UpdateOptions & Waiting,
  ): Promise<Entity | null> {
    const { shardId } = checkedKey(key);
    const server = this.#servers.of(shardId);
    const body = encodeHstore(changes);
    if (kind !== undefined) checkKind(kind);
    const since = isoText(ifUnchangedSince);
    return (await server.write<EntityUpdate>({
      source: (await writesOf(server, shardId)).update,
      order: key.id.toString(),
      repeatable: false,
      signal,
      body,
      replace,
      ifUnchangedSince: since,
      kind: kind ?? null,
    })) as Entity | null;
  }

  async remove(key: Key, { ifUnchangedSince, kind, signal }: RemoveOptions & Waiting): Promise<boolean> {
    const { shardId } = checkedKey(key);
    const server = this.#servers.of(shardId);
    if (kind !== undefined) checkKind(kind);
    const since = isoText(ifUnchangedSince);
    return (await server.write<EntityRemoval>({
      source: (await writesOf(server, shardId)).remove,
      order: key.id.toString(),
      repeatable: false,
      signal,
      ifUnchangedSince: since,
      kind: kind ?? null,
    })) as boolean;
  }

  /** The epoch ids of this datastore count from. */
  get epoch(): number {
    return this.#epoch;
  }
}

function writesOf(server: Server, shardId: number): EntityWrites | Promise<EntityWrites> {
  return server.entities.knownWrites(shardId) ?? server.entities.writes(shardId);
}

/** @throws InvalidArgumentError for anything but a Key */
export function checkedKey(key: Key): Key {
  if (key instanceof Key) return key;
  throw new InvalidArgumentError(`a Key is wanted, not ${describe(key)}; make one with new Key(id)`);
}

function checkKind(kind: number): void {
  if (!Number.isInteger(kind) || kind < -KIND_LIMIT || kind >= KIND_LIMIT) {
    throw new InvalidArgumentError(`kind is a smallint (−32768 to 32767), not ${describe(kind)}`);
  }
}

function isoText(date: Date | undefined): string | null {
  if (date === undefined) return null;
  if (!(date instanceof Date) || Number.isNaN(date.getTime())) {
    throw new InvalidArgumentError('ifUnchangedSince must be a valid Date: the `updated` of the entity that was read');
  }
  return date.toISOString();
}

function describe(value: unknown): string {
  if (value === null) return 'null';
  return typeof value === 'object'
    ? `an object (${value.constructor?.name ?? 'no class'})`
    : `${typeof value} ${String(value)}`;
}
