import type { Client } from 'pg';
import { endClient } from '../../internal/client-guard.ts';
import type { ConnectionSettings } from '../../internal/endpoint/settings.ts';
import type { Problem } from '../errors.ts';
import type { MappingOptions } from '../mapping/map-table.ts';
import type { Position } from '../model/position.ts';
import { qualifiedName, type SourceTable } from '../model/source-table.ts';
import type { TargetTable } from '../model/target-table.ts';
import type { KeyColumn } from '../route/key-column.ts';
import type {
  AddKeyColumnsOptions,
  ChangeStream,
  FollowOptions,
  ImportSource,
  LogRetention,
  RoutedTable,
} from '../source/import-source.ts';
import type { Snapshot } from '../source/snapshot.ts';
import { readTables } from './catalogue/read-tables.ts';
import {
  readStructures,
  type StructureNow,
  unloggedChange,
  unspokenChange,
  unspokenChangeMessage,
} from './catalogue/structure-now.ts';
import { addKeyColumn } from './key-column/add.ts';
import { keyColumnSql } from './key-column/statements.ts';
import { lsnPosition, parseLsn } from './lsn.ts';
import { mapPostgresTable } from './map-table.ts';
import { preflightPostgres } from './preflight.ts';
import { dropSlotAndPublication, ensureSlot, inTurn, publishTables, unpublishedTables } from './publication.ts';
import { followChanges, type RelationHost } from './replication/follow-changes.ts';
import { RelationFollower } from './replication/relation-follower.ts';
import { flushedPlace, refuseGap } from './replication/slot-place.ts';
import { readRetention } from './retention.ts';
import { identityStatement, reviewTables } from './review-tables.ts';
import { explain, SourceServer } from './session.ts';
import { openSnapshot } from './snapshot.ts';

export interface PostgresSourceOptions {
  readonly settings: ConnectionSettings;
  /** Name of the replication slot and of the publication. */
  readonly slot: string;
  /** Whether replica identities are set where the log would not tell enough. */
  readonly setsIdentity: boolean;
  /** Says which table a relation message speaks of, instead of what the catalogue of the import knows. */
  readonly relations?: RelationHost | undefined;
}

/** A Postgres server that rows come from. Connects when it is asked for something. */
export class PostgresSource implements ImportSource {
  readonly kind = 'pgsql';
  readonly label: string;
  readonly #options: PostgresSourceOptions;
  readonly #server: SourceServer;
  #session: Promise<Client> | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: PostgresSourceOptions) {
    this.#options = options;
    this.#server = new SourceServer(options.settings);
    this.label = this.#server.label;
  }

  preflight(schemas: readonly string[]): Promise<Problem[]> {
    return this.#with((client) => preflightPostgres(client, schemas, this.#options.slot));
  }

  readTables(schemas: readonly string[], table?: string): Promise<SourceTable[]> {
    return this.#with((client) => readTables(client, { schemas, table }));
  }

  reviewTables(tables: readonly RoutedTable[]): Promise<Problem[]> {
    return this.#with((client) => reviewTables(client, tables, this.#options));
  }

  /** Replica identities, the publication, and last the slot: from its making on the log is kept for us. */
  prepare(tables: readonly RoutedTable[], { exact }: { readonly exact: boolean }): Promise<void> {
    const { slot, setsIdentity } = this.#options;
    const prepareAlone = async (client: Client): Promise<void> => {
      await client.query(`set lock_timeout = '10s'`);
      if (setsIdentity) {
        for (const table of tables) {
          const statement = identityStatement(table);
          if (statement !== null) await client.query(statement);
        }
      }
      const published = tables.map(({ source }) => source);
      await publishTables(client, slot, published, { exact });
      await client.query('set lock_timeout = 0');
      await ensureSlot(client, slot);
    };
    return this.#with((client) => inTurn(client, slot, () => prepareAlone(client)));
  }

  keyColumnSql(column: KeyColumn): readonly string[] {
    return keyColumnSql(column);
  }

  addKeyColumns(columns: readonly KeyColumn[], options: AddKeyColumnsOptions): Promise<void> {
    return this.#with(async (client) => {
      for (const column of columns) await addKeyColumn(client, column, options);
    });
  }

  forget(): Promise<void> {
    return this.#with((client) => dropSlotAndPublication(client, this.#options.slot));
  }

  async unspokenChanges(tables: readonly SourceTable[]): Promise<Map<string, string>> {
    const now = await this.#structures(tables.map(({ postgres }) => postgres!.oid));
    const changes = new Map<string, string>();
    for (const table of tables) {
      const current = now.get(table.postgres!.oid);
      const change = unspokenChange(table, current);
      const message = unloggedChange(table, current) ?? (change === null ? null : unspokenChangeMessage(change));
      if (message === null) continue;
      const name = qualifiedName(table);
      changes.set(name, `${message}: hypervault import sync-tables --tables ${name}`);
    }
    return changes;
  }

  retention(): Promise<LogRetention | null> {
    return this.#with((client) => readRetention(client, this.#options.slot));
  }

  connect(): Promise<Client> {
    return this.#server.connect();
  }

  mapTable(table: SourceTable, schema: string, options: MappingOptions): TargetTable {
    return mapPostgresTable(table, schema, options);
  }

  openSnapshot(options: { workers: number; signal?: AbortSignal | undefined }): Promise<Snapshot> {
    return openSnapshot(this.#server, options);
  }

  identity(): Promise<null> {
    return Promise.resolve(null);
  }

  /** The place behind everything that is committed: a mark is written there, so that the stream will reach it. */
  currentPosition(): Promise<Position> {
    return this.#with(async (client) => {
      const { rows } = await client.query<{ lsn: string }>(
        `select pg_logical_emit_message(true, 'hypervault', 'here')::text as lsn`,
      );
      return lsnPosition(parseLsn(rows[0]!.lsn));
    });
  }

  async follow(options: FollowOptions): Promise<ChangeStream> {
    const { slot, relations } = this.#options;
    const connecting = this.#server.connectForReplication({ signal: options.signal });
    connecting.catch(() => {});
    try {
      await this.#with((client) => refuseGap(client, slot, options.start, this.label));
    } catch (error) {
      await connecting.then(endClient, () => {});
      throw error;
    }
    const client = await connecting;
    return followChanges(client, {
      ...options,
      slot,
      label: this.label,
      relations:
        relations ??
        new RelationFollower({
          tables: options.tables,
          host: options.statements,
          events: options.events,
          readTable: (oid) => this.#readTable(oid),
          readStructure: async (oid) => (await this.#structures([oid])).get(oid),
        }),
      structures:
        relations !== undefined
          ? null
          : {
              read: (oids) => this.#structures(oids),
              strangers: () => this.#strangers(options),
              moveOn: () => this.currentPosition(),
            },
      retention: () => this.retention(),
      flushedPlace: () => this.#with(flushedPlace),
    });
  }

  async close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.then((client) => endClient(client)).catch(() => {});
    await this.#server.close();
  }

  #structures(oids: readonly number[]): Promise<Map<number, StructureNow>> {
    return this.#with((client) => readStructures(client, oids));
  }

  /** Tables that are wanted and that nobody has copied. */
  #strangers({ statements }: FollowOptions): Promise<string[]> {
    return this.#with((client) => unpublishedTables(client, this.#options.slot, statements));
  }

  async #readTable(oid: number): Promise<SourceTable | null> {
    return this.#with(async (client) => {
      const { rows } = await client.query<{ schema: string; name: string }>(
        `select n.nspname as schema, c.relname as name
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where c.oid = $1`,
        [oid],
      );
      if (rows[0] === undefined) return null;
      const { schema, name } = rows[0];
      return (await readTables(client, { schemas: [schema], table: name }))[0] ?? null;
    });
  }

  /** One question after the other: the session is shared. */
  #with<Result>(work: (client: Client) => Promise<Result>): Promise<Result> {
    const turn = this.#turn.then(async () => {
      try {
        this.#session ??= this.#server.connect();
        return await work(await this.#session);
      } catch (error) {
        throw explain(error, this.label);
      }
    });
    this.#turn = turn.catch(() => {});
    return turn;
  }
}
