import type { Client } from 'pg';
import { endClient } from '../../internal/client-guard.ts';
import { quoteIdentifier } from '../../internal/quote.ts';
import { VALUE_SETTINGS } from '../apply/session-settings.ts';
import { columnList, qualify } from '../apply/table-sql.ts';
import type { ChunkPlan, TableRow } from '../catalogue/table-rows.ts';
import type { EngineContext } from '../commands/context.ts';
import { TableReader } from '../postgres/table-reader.ts';
import { CopyStream } from '../snapshot/copy-stream.ts';
import { settleBlock } from '../snapshot/line-filter.ts';
import type { ImportSource } from '../source/import-source.ts';
import type { ChunkRange } from '../source/snapshot.ts';
import { type Digest, type RowHashes, RowSet, type RowShape } from './row-set.ts';

/** The rows of one table of the source, as they are at the moment of each question. */
export interface SourceSide {
  plan(chunkRows: number): Promise<ChunkPlan>;
  digest(range: ChunkRange | null): Promise<Digest>;
  bucketDigests(): Promise<Map<number, Digest>>;
  hashes(range: ChunkRange | null): Promise<RowHashes>;
  hashesOfBuckets(buckets: readonly number[]): Promise<RowHashes>;
  hashesOf(keys: readonly string[]): Promise<RowHashes>;
  close(): Promise<void>;
}

/** A session in which values have one text and names are found by their schema only. */
export async function comparingSession(context: EngineContext, server: string): Promise<Client> {
  const client = await context.servers.connect(server);
  try {
    await client.query(VALUE_SETTINGS);
    await client.query(`select pg_catalog.set_config('search_path', '', false)`);
    return client;
  } catch (error) {
    await endClient(client);
    throw error;
  }
}

/** What of a table is compared. Columns that are computed are left out: their expressions are. */
export function shapeOf({ target, source }: TableRow, side: 'source' | 'target'): RowShape {
  const columns = target.columns
    .filter(({ generated }) => generated === null)
    .map(({ name, type, enumeration }) => {
      const origin = source.columns.find((column) => column.name === name);
      const cast = side === 'source' && origin !== undefined && origin.type !== type && source.postgres !== undefined;
      const expression = quoteIdentifier(name);
      return {
        name,
        type: enumeration === null ? type : null,
        expression: cast ? `${expression}::${type}` : expression,
      };
    });
  const { identity } = target;
  return { columns, key: identity.kind === 'key' ? identity.columns : columns.map(({ name }) => name) };
}

/** Asks a Postgres source where its rows are. */
export async function postgresSide(source: ImportSource, table: TableRow): Promise<SourceSide> {
  const client = await source.connect!();
  const { schema, name, postgres } = table.source;
  const only = postgres?.partitioned === true ? '' : 'only ';
  const rows = new RowSet(client, `${only}${qualify(schema, name)}`, shapeOf(table, 'source'));
  return {
    plan: (chunkRows) => new TableReader(client).plan(table, chunkRows),
    digest: (range) => rows.digest(range),
    bucketDigests: () => rows.bucketDigests(),
    hashes: (range) => rows.hashes(range),
    hashesOfBuckets: (buckets) => rows.hashesOfBuckets(buckets),
    hashesOf: (keys) => rows.hashesOf(keys),
    close: () => endClient(client),
  };
}

const LOADED = 'pg_temp.hv_verify';

/**
 * Brings a source's rows as the copy would bring them into a temporary table of a target server, and looks at them
 * there: what MySQL and Postgres print differently is then printed by one.
 */
export async function loadedSide(
  context: EngineContext,
  source: ImportSource,
  table: TableRow,
  place: { readonly server: string; readonly schema: string },
): Promise<SourceSide> {
  const client = await comparingSession(context, place.server);
  const shape = shapeOf(table, 'target');
  const rows = new RowSet(client, LOADED, shape);
  await client.query(
    `create temporary table hv_verify as
     select ${columnList(shape.columns.map(({ name }) => name))}
       from ${qualify(place.schema, table.target.name)}
       with no data`,
  );
  const load = async (ranges: readonly (ChunkRange | null)[]): Promise<void> => {
    await client.query(`truncate ${LOADED}`);
    const snapshot = await source.openSnapshot({ workers: 1, lockTimeoutMs: 10_000 });
    try {
      const [reader] = snapshot.readers;
      const columns = reader!.columnsOf(table);
      for (const range of ranges) {
        const copy = new CopyStream(client, `copy ${LOADED} (${columnList(columns)}) from stdin`);
        try {
          await reader!.read({
            table,
            range,
            onLines: (lines) => copy.write(settleBlock(lines, table, columns, [])),
            drained: () => copy.drained(),
          });
          await copy.end();
        } catch (error) {
          await copy.abort();
          throw error;
        }
      }
    } finally {
      await snapshot.release();
    }
  };
  const chunked = table.chunks?.column ?? null;
  return {
    plan: () => Promise.resolve(table.chunks ?? { column: null, bounds: [] }),
    digest: async (range) => {
      await load([range]);
      return rows.digest(null);
    },
    bucketDigests: async () => {
      await load([null]);
      return rows.bucketDigests();
    },
    hashes: async (range) => {
      await load([range]);
      return rows.hashes(null);
    },
    hashesOfBuckets: async (buckets) => {
      await load([null]);
      return rows.hashesOfBuckets(buckets);
    },
    hashesOf: async (keys) => {
      const at = chunked === null ? -1 : shape.key.indexOf(chunked);
      const values = new Set(keys.map((key) => (JSON.parse(key) as string[])[at]!));
      await load(
        at === -1 || values.size > 500
          ? [null]
          : [...values].map((from) => ({ column: chunked!, from, to: (BigInt(from) + 1n).toString() })),
      );
      return rows.hashesOf(keys);
    },
    close: () => endClient(client),
  };
}
