import type { RemoveOptions, UpdateOptions } from './entities.ts';
import type { Body, Entity } from './entity.ts';
import type { FindOptions } from './entity-scan.ts';
import { InvalidBodyError } from './errors.ts';
import type { Key } from './key.ts';
import type { BodyChanges, BodyInput, BodyMatch, BodyOutput, FieldCodecs, Kind } from './kind.ts';
import type { Waiting } from './waiting.ts';

/** One entity of a kind. */
export interface TypedEntity<Output> {
  readonly key: Key;
  readonly body: Output;
  /** When it was last written, by its server's clock, to the millisecond. */
  readonly updated: Date;
}

export interface RepositoryFindOptions<Fields extends FieldCodecs> extends Omit<FindOptions, 'kind' | 'contains'> {
  /** Fields with these values. Compared as stored texts: of JSON the order of its keys counts too. */
  readonly where?: BodyMatch<Fields> | undefined;
}

/** What a repository needs of the Datastore. */
export interface EntityStore {
  get(key: Key, options?: Waiting): Promise<Entity | null>;
  getMany(keys: readonly Key[], options?: Waiting): Promise<(Entity | null)[]>;
  put(shardId: number, kind: number, body: Body, options?: Waiting & { readonly key?: Key | undefined }): Promise<Key>;
  putMany(shardId: number, kind: number, bodies: readonly Body[], options?: Waiting): Promise<Key[]>;
  update(key: Key, changes: Body, options?: UpdateOptions & Waiting): Promise<Entity | null>;
  remove(key: Key, options?: RemoveOptions & Waiting): Promise<boolean>;
  find(options?: FindOptions): AsyncGenerator<Entity, void, undefined>;
}

/**
 * The entities of one kind, with typed fields. It sees no others: under the key of an entity of another kind there is
 * nothing to get, update or remove. Made by `db.repository()`.
 *
 * @example
 * ```ts
 * const users = db.repository(User);
 * const key = await users.put(12, { name: 'Ada', age: 36 });
 * const user = await users.get(key);   // { key, body: { name: 'Ada', age: 36, born: null }, updated }
 * await users.update(key, { age: 37 }, { ifUnchangedSince: user!.updated });
 * for await (const { body } of users.find({ where: { age: 37 } })) console.log(body.name);
 * ```
 */
export class Repository<Fields extends FieldCodecs> {
  readonly kind: Kind<Fields>;
  readonly #store: EntityStore;

  /** @internal use `db.repository()` */
  constructor(kind: Kind<Fields>, store: EntityStore) {
    this.kind = kind;
    this.#store = store;
  }

  /** @throws StoredBodyError when what is stored does not fit the kind, and what `Datastore.get` throws */
  async get(key: Key, options?: Waiting): Promise<TypedEntity<BodyOutput<Fields>> | null> {
    return this.#typed(await this.#store.get(key, options));
  }

  /** In the order of the keys; `null` where there is none. */
  async getMany(keys: readonly Key[], options?: Waiting): Promise<(TypedEntity<BodyOutput<Fields>> | null)[]> {
    return (await this.#store.getMany(keys, options)).map((entity) => this.#typed(entity));
  }

  /** @throws InvalidBodyError naming the field, and what `Datastore.put` throws */
  async put(
    shardId: number,
    body: BodyInput<Fields>,
    options?: Waiting & { readonly key?: Key | undefined },
  ): Promise<Key> {
    return this.#store.put(shardId, this.kind.id, this.kind.encode(body), options);
  }

  /** Keys come in the order of the bodies. Nothing is written when one of the bodies is wrong. */
  async putMany(shardId: number, bodies: readonly BodyInput<Fields>[], options?: Waiting): Promise<Key[]> {
    const encoded = bodies.map((body) => this.kind.encode(body));
    return this.#store.putMany(shardId, this.kind.id, encoded, options);
  }

  /**
   * Sets fields; the others stay as they are.
   *
   * @returns the entity as it is now, or `null` when there is none
   * @throws VersionConflictError when `ifUnchangedSince` is given and the entity is newer
   */
  async update(
    key: Key,
    changes: BodyChanges<Fields>,
    options?: Omit<UpdateOptions, 'kind' | 'replace'> & Waiting,
  ): Promise<TypedEntity<BodyOutput<Fields>> | null> {
    return this.#change(key, this.kind.encodeSome(changes), options);
  }

  /** Puts a whole new body in the old one's place, also of fields that the kind does not have. */
  async replace(
    key: Key,
    body: BodyInput<Fields>,
    options?: Omit<UpdateOptions, 'kind' | 'replace'> & Waiting,
  ): Promise<TypedEntity<BodyOutput<Fields>> | null> {
    return this.#change(key, this.kind.encode(body), { ...options, replace: true });
  }

  /** @returns whether there was one */
  async remove(key: Key, options?: Omit<RemoveOptions, 'kind'> & Waiting): Promise<boolean> {
    return this.#store.remove(key, { ...options, kind: this.kind.id });
  }

  /** Looks over many shards, merged in the order of ids. */
  async *find({
    where,
    ...options
  }: RepositoryFindOptions<Fields> = {}): AsyncGenerator<TypedEntity<BodyOutput<Fields>>, void, undefined> {
    const contains = where === undefined ? undefined : this.kind.encodeSome(where as BodyChanges<Fields>);
    for (const [field, text] of Object.entries(contains ?? {})) {
      // A field left out and one set to null would be told apart by the server, and mean the same here.
      if (text === null) throw new InvalidBodyError(`find: where can't ask for the absence of ${field}`, field);
    }
    for await (const entity of this.#store.find({ ...options, contains, kind: this.kind.id })) {
      yield this.#typed(entity)!;
    }
  }

  async #change(
    key: Key,
    body: Body,
    options: UpdateOptions & Waiting = {},
  ): Promise<TypedEntity<BodyOutput<Fields>> | null> {
    return this.#typed(await this.#store.update(key, body, { ...options, kind: this.kind.id }));
  }

  #typed(entity: Entity | null): TypedEntity<BodyOutput<Fields>> | null {
    if (entity === null || entity.kind !== this.kind.id) return null;
    const { key, body, updated } = entity;
    return { key, body: this.kind.decode(body), updated };
  }
}
