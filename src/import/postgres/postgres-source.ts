import type { Client } from 'pg';
import { endClient } from '../../internal/client-guard.ts';
import type { ConnectionSettings } from '../../internal/endpoint/settings.ts';
import { BinlogPurgedError, type Problem } from '../errors.ts';
import type { MappingOptions } from '../mapping/map-table.ts';
import type { Position } from '../model/position.ts';
import type { SourceTable } from '../model/source-table.ts';
import type { TargetTable } from '../model/target-table.ts';
import type { ChangeStream, FollowOptions, ImportSource, LogRetention, RoutedTable } from '../source/import-source.ts';
import type { Snapshot } from '../source/snapshot.ts';
import { readTables } from './catalogue/read-tables.ts';
import { lsnPosition, parseLsn } from './lsn.ts';
import { mapPostgresTable } from './map-table.ts';
import { preflightPostgres } from './preflight.ts';
import { dropSlotAndPublication, ensureSlot, publishTables } from './publication.ts';
import { ChangeReader } from './replication/change-reader.ts';
import { RelationFollower } from './replication/relation-follower.ts';
import { WalStream } from './replication/wal-stream.ts';
import { RetentionWatch, readRetention } from './retention.ts';
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

/** What knows the tables of a stream. */
export type RelationHost = Pick<RelationFollower, 'find' | 'truncate'>;

/** How much the open batch may hold before it is handed over in the middle of a transaction. */
const MAX_BATCH_BYTES = 32 * 1024 * 1024;
/** Transactions with this beginning of their replication origin's name were written by us. */
export const ORIGIN_PREFIX = 'hypervault_';

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
    return this.#with(async (client) => {
      await client.query(`set lock_timeout = '10s'`);
      if (this.#options.setsIdentity) {
        for (const table of tables) {
          const statement = identityStatement(table);
          if (statement !== null) await client.query(statement);
        }
      }
      await publishTables(
        client,
        this.#options.slot,
        tables.map(({ source }) => source),
        { exact },
      );
      await client.query('set lock_timeout = 0');
      await ensureSlot(client, this.#options.slot);
    });
  }

  forget(): Promise<void> {
    return this.#with((client) => dropSlotAndPublication(client, this.#options.slot));
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
    const { start, tables, events, queue, sink, maxRows, heartbeatMs, signal } = options;
    const { slot } = this.#options;
    await this.#with((client) => refuseGap(client, slot, start, this.label));
    let end: { resolve: () => void; reject: (error: unknown) => void };
    const ended = new Promise<void>((resolve, reject) => {
      end = { resolve, reject };
    });
    ended.catch(() => {});
    const follower =
      this.#options.relations ??
      new RelationFollower({
        tables,
        host: options.statements,
        events,
        readTable: (oid) => this.#readTable(oid),
      });
    let mark: bigint | undefined;
    const reader = new ChangeReader({
      start: start.ordinal,
      queue,
      sink,
      maxRows,
      maxBytes: MAX_BATCH_BYTES,
      isOwnOrigin: (name) => name.startsWith(ORIGIN_PREFIX),
      host: {
        relation: (batch, relation, at) => follower.find(batch, relation, at),
        truncate: (batch, some, at) => follower.truncate(batch, some, at),
        setAside: (table, reason) => {
          tables.remove(table.source.schema, table.source.name);
          events.setAside(table, reason instanceof Error ? reason.message : String(reason), {});
        },
        heard: (place) => {
          if (mark !== undefined && place >= mark) events.caughtUp();
        },
        handedOver: (batch) => events.handedOver(batch),
        failed: (error) => end.reject(explain(error, this.label)),
      },
    });
    const client = await this.#server.connectForReplication({ signal });
    const stream = WalStream.start(client, {
      slot,
      publication: slot,
      start: start.ordinal,
      handler: reader,
      heartbeatMs,
    });
    reader.flow.control(stream);
    const watch = new RetentionWatch((message) => events.warn?.(message));
    // Whether the reader is at the end of the log is told by where the log ended a moment ago
    const asking = setInterval(
      () => {
        if (watch.isDue)
          this.retention().then(
            (kept) => watch.look(kept),
            () => {},
          );
        this.#with(flushedPlace).then(
          (place) => {
            mark = place;
          },
          (error: unknown) => end.reject(error),
        );
      },
      Math.max(heartbeatMs, 500),
    );
    const stop = (): void => {
      clearInterval(asking);
      stream.stop();
    };
    ended.catch(() => {}).finally(stop);
    return {
      ended,
      confirm: ({ ordinal }) => stream.confirm(ordinal),
      stop: () => {
        stop();
        end.resolve();
        return Promise.resolve();
      },
    };
  }

  async close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.then((client) => endClient(client)).catch(() => {});
    await this.#server.close();
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

async function flushedPlace(client: Client): Promise<bigint> {
  const { rows } = await client.query<{ lsn: string }>('select pg_current_wal_flush_lsn()::text as lsn');
  return parseLsn(rows[0]!.lsn);
}

/** The server would skip in silence what a slot has let go. */
async function refuseGap(client: Client, slot: string, start: Position, label: string): Promise<void> {
  const { rows } = await client.query<{ confirmed: string | null }>(
    'select confirmed_flush_lsn::text as confirmed from pg_replication_slots where slot_name = $1',
    [slot],
  );
  const confirmed = rows[0]?.confirmed ?? null;
  if (confirmed !== null && parseLsn(confirmed) <= start.ordinal) return;
  throw new BinlogPurgedError(
    confirmed === null
      ? `${label}: the replication slot ${slot} is gone, and with it the changes since ${start.text}: run init-replica again`
      : `${label}: the replication slot ${slot} is at ${confirmed}, behind ${start.text}, where reading would begin: run init-replica again`,
  );
}
