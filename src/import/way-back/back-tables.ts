import type { TableRow } from '../catalogue/table-rows.ts';
import type { EngineContext } from '../commands/context.ts';
import type { SourceConfig } from '../config/source-config.ts';
import { ImportError } from '../errors.ts';
import { qualifiedName } from '../model/source-table.ts';
import type { RowIdentity } from '../model/target-table.ts';
import type { RelationHost } from '../postgres/replication/follow-changes.ts';
import type { Relation } from '../postgres/replication/pgoutput.ts';
import type { Destination } from '../route/router.ts';
import type { FollowedTable } from '../stream/followed-table.ts';
import { routerOf } from '../workers/load-tables.ts';
import { OLD_DATABASE } from './back-names.ts';

/** A table of a server whose changes flow back. */
export interface BackPlace {
  readonly schema: string;
  readonly name: string;
  readonly row: TableRow;
}

/**
 * The tables of a server whose changes flow back. Of a reference table, which every server has, only the first
 * server's copy speaks for it.
 */
export function backPlaces(
  context: EngineContext,
  config: SourceConfig,
  rows: readonly TableRow[],
  server: string,
): BackPlace[] {
  return rows.flatMap((row) => {
    const router = routerOf(context, config, row);
    const places = router.kind === 'by-key' ? router.destinations : router.destinations.slice(0, 1);
    return places
      .filter((place) => place.server === server)
      .map(({ schema }) => ({ schema, name: row.target.name, row }));
  });
}

/** What the log of the shards has to tell of old rows: the key, and where it routes, so that a row that moved is told from one that went. */
export function needsFullIdentity({ target, routing }: TableRow): boolean {
  if (target.primaryKey.length === 0) return true;
  return routing.kind === 'by' && !routing.columns.every((name) => target.primaryKey.includes(name));
}

/** Brings what the shards' relation messages speak of to the tables of the old database. Refuses what has no place there. */
export class BackTables implements RelationHost {
  readonly #tables = new Map<string, FollowedTable>();

  constructor(places: readonly BackPlace[]) {
    const destinations = new Map<string, Destination>();
    const tables = new Map<number, FollowedTable>();
    for (const { schema, name, row } of places) {
      const origin = row.source.schema;
      const destination = destinations.get(origin) ?? { server: OLD_DATABASE, schema: origin, shard: null };
      destinations.set(origin, destination);
      // All the shards' tables are one: a row that moves between them meets itself
      const table = tables.get(row.id) ?? backTable(row, destination);
      tables.set(row.id, table);
      this.#tables.set(`${schema}\0${name}`, table);
    }
  }

  find(_batch: unknown, { schema, name, columns }: Relation): FollowedTable | null {
    const table = this.#tables.get(`${schema}\0${name}`);
    if (table === undefined) return null;
    const unknown = columns.filter((column) => !table.target.columns.some((known) => known.name === column.name));
    if (unknown.length > 0) {
      throw new ImportError(
        'WAY_BACK',
        `${schema}.${name} has columns that the old ${qualifiedName(table.source)} has not (${unknown.map((column) => column.name).join(', ')}): add them there and start the replica again`,
      );
    }
    return table;
  }

  truncate(_batch: unknown, tables: readonly FollowedTable[]): void {
    const [table] = tables;
    if (table === undefined) return;
    throw new ImportError(
      'WAY_BACK',
      `a table of a shard that belongs to ${qualifiedName(table.source)} was truncated, and which rows of the old table that means cannot be told: delete them there, then run finish, or back with --force`,
    );
  }
}

function backTable(row: TableRow, destination: Destination): FollowedTable {
  const { target, source, routing } = row;
  const route = routing.kind === 'by' ? routing.columns : [];
  const key = target.primaryKey;
  const identity: RowIdentity =
    key.length === 0 ? { kind: 'whole-row' } : { kind: 'key', columns: [...new Set([...key, ...route])] };
  return {
    id: row.id,
    version: row.version,
    source,
    target: {
      ...target,
      schema: source.schema,
      name: source.name,
      identity,
      ...(key.length > 0 && { replaces: key }),
    },
    router: { kind: 'fixed', destinations: [destination] },
    copiedAt: { all: 0n, column: null, ranges: [] },
    skipEvents: new Set(),
  };
}
