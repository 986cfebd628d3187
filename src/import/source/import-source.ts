import type { Client } from 'pg';
import type { StoredRouting } from '../catalogue/table-rows.ts';
import type { Problem } from '../errors.ts';
import type { MappingOptions } from '../mapping/map-table.ts';
import type { Position } from '../model/position.ts';
import type { SourceTable } from '../model/source-table.ts';
import type { TargetTable } from '../model/target-table.ts';
import type { KeyColumn } from '../route/key-column.ts';
import type { BatchQueue } from '../stream/batch-queue.ts';
import type { FollowedTables } from '../stream/followed-tables.ts';
import type { PreparedTransactions } from '../stream/prepared-transactions.ts';
import type { ReaderEvents } from '../stream/reader-events.ts';
import type { RowSink } from '../stream/row-sink.ts';
import type { StatementHost } from '../stream/statement-host.ts';
import type { Snapshot, SnapshotOptions } from './snapshot.ts';

/** Where reading begins, and who is told. */
export interface FollowOptions {
  readonly start: Position;
  readonly tables: FollowedTables;
  readonly statements: StatementHost;
  readonly sink: RowSink;
  readonly queue: BatchQueue;
  /** The XA transactions that are prepared at the start. @default none */
  readonly prepared?: PreparedTransactions | undefined;
  readonly events: ReaderEvents;
  readonly maxRows: number;
  readonly heartbeatMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** What a source keeps of its log because we have not read it yet. */
export interface LogRetention {
  readonly bytes: bigint;
  /** `reserved`, `extended`, `unreserved` (about to be thrown away) or `lost`, as `pg_replication_slots` says. */
  readonly state: string;
}

/** A table with where its rows go. */
export interface RoutedTable {
  readonly source: SourceTable;
  readonly routing: StoredRouting;
}

export interface AddKeyColumnsOptions {
  /** Told what is being done, as sentences. */
  readonly onStep: (sentence: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** A stream of changes that is being read. */
export interface ChangeStream {
  /** Settles when the stream ends: rejects with why, resolves after {@link stop}. */
  readonly ended: Promise<void>;
  /** Tells the source how far the changes are safe with us, so that it may forget them. */
  confirm(position: Position): void;
  stop(): Promise<void>;
}

/** A database that rows come from. */
export interface ImportSource {
  readonly kind: 'mysql' | 'pgsql';
  /** `host:port`, for messages. */
  readonly label: string;
  /** What is wrong with the server itself; nothing is changed. */
  preflight(schemas: readonly string[]): Promise<Problem[]>;
  readTables(schemas: readonly string[], table?: string): Promise<SourceTable[]>;
  /** What of the tables, where they shall go, stands against following them. */
  reviewTables?(tables: readonly RoutedTable[]): Promise<Problem[]>;
  /**
   * Makes on the source what following these tables needs, before they are copied.
   * @param exact - no other tables are followed
   */
  prepare?(tables: readonly RoutedTable[], options: { readonly exact: boolean }): Promise<void>;
  /** Statements that give a table the routing column of its parent, for people who run them themselves. */
  keyColumnSql?(column: KeyColumn): readonly string[];
  /** Gives tables the routing column of their parents, fills it, and lets the source keep it right. Can be repeated. */
  addKeyColumns?(columns: readonly KeyColumn[], options: AddKeyColumnsOptions): Promise<void>;
  /** Takes away what was made on the source. */
  forget?(): Promise<void>;
  /**
   * How tables differ from what is known of them, as sentences that end with the remedy, by `schema.table`. Only where
   * the log tells of a change no sooner than somebody writes a row.
   */
  unspokenChanges?(tables: readonly SourceTable[]): Promise<ReadonlyMap<string, string>>;
  /** How much of its log the source keeps for us; `null` when it keeps none on our account. */
  retention?(): Promise<LogRetention | null>;
  /** A session on the source, the caller's to end; only where the source is Postgres too. */
  connect?(): Promise<Client>;
  /**
   * The place of the log that another program read up to, and whether the source's own time zone is UTC.
   * @throws ReplicaStateError when no transaction begins there, or the log does not reach back so far
   */
  placeAt?(file: string, offset: number): Promise<{ readonly position: Position; readonly utc: boolean }>;
  mapTable(table: SourceTable, schema: string, options: MappingOptions): TargetTable;
  /**
   * A place from which the log has to be read to follow what snapshots opened afterwards do not show, when that is not
   * the snapshots' own: transactions may be logged before they are committed. Waits for those that are older.
   * @throws ReplicaStateError when they do not end in time
   */
  placeBeforeSnapshot?(options: {
    readonly timeoutMs: number;
    readonly signal?: AbortSignal | undefined;
  }): Promise<Position>;
  openSnapshot(options: SnapshotOptions): Promise<Snapshot>;
  /** Which server this is; `null` when places of its log mean nothing on another one. */
  identity(): Promise<string | null>;
  currentPosition(): Promise<Position>;
  /** Begins to read changes. */
  follow(options: FollowOptions): Promise<ChangeStream>;
  close(): Promise<void>;
}
