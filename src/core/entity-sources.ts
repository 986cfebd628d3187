import type { QueryArrayResult } from 'pg';
import { InvalidArgumentError, SchemaError } from '../errors.ts';
import { quoteIdentifier } from '../internal/quote.ts';
import { removeEntities, updateEntities } from './entity-changes.ts';
import { entityReadSource } from './entity-reads.ts';
import { insertMany, insertUnderGivenIds, insertWithNewIds } from './entity-writes.ts';
import type { ReadSource } from './gathered-reads.ts';
import type { WriteSource, WriteStatement } from './gathered-writes.ts';
import { schemaName } from './schema-name.ts';
import type { SessionFacts } from './session.ts';

/** How entities of one shard are written. */
export interface EntityWrites {
  readonly withNewIds: WriteSource;
  readonly underGivenIds: WriteSource;
  readonly many: WriteSource;
  readonly update: WriteSource;
  readonly remove: WriteSource;
}

/** Ids reserved by one call. */
const MAX_RESERVED = 65_536;

/** What is asked of the server whose shards these are. */
export interface EntityHost {
  readonly name: string;
  run(statement: WriteStatement, options: { signal?: AbortSignal | undefined }): Promise<QueryArrayResult>;
  facts(): Promise<SessionFacts>;
}

/** The statements for entities of one server's shards, made once for each shard. */
export class EntitySources {
  readonly #server: EntityHost;
  readonly #epoch: number;
  readonly #prefix: string;
  readonly #reads = new Map<number, ReadSource>();
  readonly #writes = new Map<number, EntityWrites>();

  constructor(server: EntityHost, { epoch, schemaPrefix }: { readonly epoch: number; readonly schemaPrefix: string }) {
    this.#server = server;
    this.#epoch = epoch;
    this.#prefix = schemaPrefix;
  }

  reads(shardId: number): ReadSource {
    let source = this.#reads.get(shardId);
    if (source === undefined) {
      source = entityReadSource(shardId, `${this.#schema(shardId)}.entities`, this.#epoch);
      this.#reads.set(shardId, source);
    }
    return source;
  }

  /** Without waiting, when the server was met before. */
  knownWrites(shardId: number): EntityWrites | undefined {
    return this.#writes.get(shardId);
  }

  /** Reserves ids; several thousand travel in one round trip. */
  async reserveIds(shardId: number, count: number, signal?: AbortSignal): Promise<bigint[]> {
    if (!Number.isInteger(count) || count < 1 || count > MAX_RESERVED) {
      throw new InvalidArgumentError(`count must be a whole number from 1 to ${MAX_RESERVED}, not ${count}`);
    }
    const text = `select ${this.#schema(shardId)}.next_ids($1)`;
    const { rows } = await this.#server.run({ text, values: [count] }, { signal });
    return (rows as [string][]).map(([id]) => BigInt(id));
  }

  /** Needs the place of the type hstore, so it may open a first session. */
  async writes(shardId: number): Promise<EntityWrites> {
    let writes = this.#writes.get(shardId);
    if (writes === undefined) {
      const { hstoreSchema } = await this.#server.facts();
      if (hstoreSchema === undefined) {
        throw new SchemaError(`${this.#server.name}: the extension hstore is missing; run: create extension hstore`);
      }
      const schema = this.#schema(shardId);
      const place = {
        shardId,
        table: `${schema}.entities`,
        nextId: `${schema}.next_id`,
        hstoreSchema: quoteIdentifier(hstoreSchema),
        epoch: this.#epoch,
      };
      writes = {
        withNewIds: insertWithNewIds(place),
        underGivenIds: insertUnderGivenIds(place),
        many: insertMany(place),
        update: updateEntities(place),
        remove: removeEntities(place),
      };
      this.#writes.set(shardId, writes);
    }
    return writes;
  }

  #schema(shardId: number): string {
    return quoteIdentifier(schemaName(this.#prefix, shardId));
  }
}
