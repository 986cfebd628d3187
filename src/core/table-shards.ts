import { ConfigurationError } from '../errors.ts';
import { quoteIdentifier } from '../internal/quote.ts';
import type { ReadSource } from './gathered-reads.ts';
import type { WriteSource } from './gathered-writes.ts';
import { shardFor } from './routing.ts';
import { schemaName } from './schema-name.ts';
import type { Server } from './server.ts';
import type { Servers } from './servers.ts';
import { tableTypes } from './table-rows.ts';
import { insertRows, removeRow, type TablePlace, tableReadSource, updateRow } from './table-statements.ts';

/** Different sets of columns remembered per shard; programs have few, and more are only slower. */
const MAX_SHAPES = 64;

interface TableShard {
  readonly place: TablePlace;
  readonly reads: ReadSource;
  readonly shapes: Map<string, WriteSource>;
}

/** One table of the user's in all shards: its statements, made once for each shard and set of columns. */
export class TableShards {
  /** Those of now: the datastore may have made its pools again. */
  readonly #servers: () => Servers;
  readonly #name: string;
  readonly #prefix: string;
  readonly #by: string;
  readonly #versionColumn: string | undefined;
  readonly #shards = new Map<number, TableShard>();

  constructor(
    servers: () => Servers,
    name: string,
    { prefix, by, versionColumn }: { prefix: string; by: string; versionColumn: string | undefined },
  ) {
    this.#servers = servers;
    this.#name = quoteIdentifier(name);
    this.#prefix = prefix;
    this.#by = by;
    this.#versionColumn = versionColumn;
  }

  /** @throws UnknownShardError */
  server(shardId: number): Server {
    return this.#servers().of(shardId);
  }

  /** Where a column routes, the number of slots must be known: the first call may have to ask for it. */
  learnRouting(): Promise<void> {
    return this.#servers().learnRouting();
  }

  shardFor(routingKey: string): number {
    return shardFor(routingKey, this.#servers().requireRouting());
  }

  reads(shardId: number): ReadSource {
    return this.#shard(shardId).reads;
  }

  inserts(shardId: number, columns: readonly string[]): WriteSource {
    return this.#shape(shardId, `insert ${columns.join('\0')}`, (place) => insertRows(place, columns));
  }

  /** An update of these columns; a removal when there are none. */
  changes(shardId: number, columns: readonly string[]): WriteSource {
    return this.#shape(shardId, `change ${columns.join('\0')}`, (place) =>
      columns.length === 0 ? removeRow(place) : updateRow(place, columns),
    );
  }

  requireVersionColumn(): void {
    if (this.#versionColumn !== undefined) return;
    throw new ConfigurationError(`table ${this.#name}: ifVersion needs the option versionColumn of db.table()`);
  }

  #shape(shardId: number, shape: string, make: (place: TablePlace) => WriteSource): WriteSource {
    const { place, shapes } = this.#shard(shardId);
    let source = shapes.get(shape);
    if (source === undefined) {
      source = make(place);
      if (shapes.size < MAX_SHAPES) shapes.set(shape, source);
    }
    return source;
  }

  #shard(shardId: number): TableShard {
    let shard = this.#shards.get(shardId);
    if (shard === undefined) {
      const schema = quoteIdentifier(schemaName(this.#prefix, shardId));
      const place: TablePlace = {
        shardId,
        table: `${schema}.${this.#name}`,
        nextId: `${schema}.next_id`,
        types: tableTypes(() => this.#servers().of(shardId).hstoreOid),
        by: this.#by === 'id' ? undefined : this.#by,
        versionColumn: this.#versionColumn,
      };
      shard = { place, reads: tableReadSource(place), shapes: new Map() };
      this.#shards.set(shardId, shard);
    }
    return shard;
  }
}
