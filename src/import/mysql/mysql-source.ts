import type { Problem } from '../errors.ts';
import { type MappingOptions, mapTable } from '../mapping/map-table.ts';
import type { Position } from '../model/position.ts';
import type { SourceTable } from '../model/source-table.ts';
import type { TargetTable } from '../model/target-table.ts';
import type { ChangeStream, FollowOptions, ImportSource } from '../source/import-source.ts';
import type { Snapshot, SnapshotOptions } from '../source/snapshot.ts';
import { PreparedTransactions } from '../stream/prepared-transactions.ts';
import { ChangeReader } from './binlog/change-reader.ts';
import { gtidProgress } from './binlog/gtid-progress.ts';
import { expectSameLog, expectToGoOn } from './binlog/other-server.ts';
import { fromPosition, lineageOf } from './binlog/position.ts';
import { BinlogTransport } from './binlog/transport.ts';
import { Charsets } from './charsets.ts';
import { StatementFollower } from './ddl/statement-follower.ts';
import { repairEnumLabels } from './enum-labels.ts';
import { readExactDefaults } from './exact-defaults.ts';
import { readFlavour, type ServerFlavour } from './flavour.ts';
import { readSourceTables } from './information-schema.ts';
import { placeAt } from './place-at.ts';
import { placeBeforePrepared } from './place-before-prepared.ts';
import { preflightMysql } from './preflight.ts';
import { MysqlSession } from './session.ts';
import { type MysqlSettings, sourceLabel } from './settings.ts';
import { openSnapshot } from './snapshot.ts';
import { currentPosition } from './status.ts';

export interface MysqlSourceOptions {
  readonly settings: MysqlSettings;
  readonly serverId: number;
  /** Resume by GTID instead of by file and offset, so that another server of the topology can take over. */
  readonly gtid: boolean;
  /** Which of the servers that the source has had this one is. @default the first */
  readonly lineageOf?: ((identity: string | null) => Promise<bigint>) | undefined;
}

/** How much the open batch may hold before it is handed over in the middle of a transaction. */
const MAX_BATCH_BYTES = 32 * 1024 * 1024;

/** A MySQL or MariaDB server that rows come from. */
export class MysqlSource implements ImportSource {
  readonly kind = 'mysql';
  readonly label: string;
  readonly #options: MysqlSourceOptions;
  readonly #session: MysqlSession;
  readonly flavour: ServerFlavour;
  #lineage = 0n;

  private constructor(options: MysqlSourceOptions, session: MysqlSession, flavour: ServerFlavour) {
    this.label = sourceLabel(options.settings);
    this.#options = options;
    this.#session = session;
    this.flavour = flavour;
  }

  static async open(
    options: MysqlSourceOptions,
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<MysqlSource> {
    const session = await MysqlSession.open(options.settings, { signal });
    try {
      const flavour = await readFlavour(session);
      await seeEverything(session, flavour);
      const source = new MysqlSource(options, session, flavour);
      source.#lineage = (await options.lineageOf?.(await source.identity())) ?? 0n;
      return source;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  preflight(schemas: readonly string[]): Promise<Problem[]> {
    return preflightMysql(this.#session, this.flavour, schemas);
  }

  async readTables(schemas: readonly string[], table?: string): Promise<SourceTable[]> {
    const tables = await readSourceTables(this.#session, this.flavour, { schemas, table });
    const repaired: SourceTable[] = [];
    for (const found of tables) {
      const labelled = await repairEnumLabels(this.#session, found);
      repaired.push(this.flavour.mariadb ? labelled : await readExactDefaults(this.#session, labelled));
    }
    return repaired;
  }

  mapTable(table: SourceTable, schema: string, options: MappingOptions): TargetTable {
    return mapTable(table, schema, options);
  }

  openSnapshot(options: SnapshotOptions): Promise<Snapshot> {
    return openSnapshot(this.#options.settings, { flavour: this.flavour, lineage: this.#lineage }, options);
  }

  placeBeforeSnapshot(options: { timeoutMs: number; signal?: AbortSignal | undefined }): Promise<Position> {
    return placeBeforePrepared(this.#session, { flavour: this.flavour, lineage: this.#lineage }, options);
  }

  /** Which server this is, when changes are resumed by GTID and it may be another one than before. */
  async identity(): Promise<string | null> {
    if (!this.#options.gtid) return null;
    const [row] = await this.#session.query<{ id: string }>(
      this.flavour.mariadb
        ? "select concat(@@hostname, ':', @@port, ':', @@server_id) as id"
        : 'select @@server_uuid as id',
    );
    return row!.id;
  }

  currentPosition(): Promise<Position> {
    return currentPosition(this.#session, this.flavour, this.#lineage);
  }

  placeAt(file: string, offset: number): Promise<{ position: Position; utc: boolean }> {
    return placeAt(this.#session, this.flavour, this.#lineage, file, offset);
  }

  async follow(options: FollowOptions): Promise<ChangeStream> {
    const { settings, serverId } = this.#options;
    const { mariadb } = this.flavour;
    const start = fromPosition(options.start);
    const lineage = this.#lineage;
    const moved = lineageOf(options.start) !== lineage;
    if (moved) expectToGoOn(this.label, options);
    else await expectSameLog(this.#session, this.flavour, this.label, start);
    const charsets = await Charsets.read(this.#session);
    const follower = new StatementFollower({
      tables: options.tables,
      host: options.statements,
      events: options.events,
      readTable: async (schema, name) => (await this.readTables([schema], name))[0] ?? null,
      localTime: async (utc, timeZone) => {
        const [row] = await this.#session.query<{ local: string | null }>(
          `select cast(convert_tz(cast(? as datetime(6)), '+00:00', ?) as char) as local`,
          [utc, timeZone],
        );
        return row?.local ?? null;
      },
    });
    let end: { resolve: () => void; reject: (error: unknown) => void };
    const ended = new Promise<void>((resolve, reject) => {
      end = { resolve, reject };
    });
    ended.catch(() => {});
    const reader = new ChangeReader({
      charsets,
      mariadb,
      start,
      from: options.start.ordinal,
      lineage,
      gtid: await gtidProgress(start.gtid, { mariadb }),
      queue: options.queue,
      sink: options.sink,
      prepared: options.prepared ?? new PreparedTransactions(),
      maxRows: options.maxRows,
      maxBytes: MAX_BATCH_BYTES,
      host: {
        find: (schema, name) => options.tables.find(schema, name),
        tables: () => options.tables,
        wants: (schema, name) => options.statements.wants(schema, name),
        cascades: () => (this.flavour.logsCascades ? null : options.tables.cascades),
        setAside: (table, reason) => {
          options.tables.remove(table);
          options.events.setAside(table, reason instanceof Error ? reason.message : String(reason), {});
        },
        statement: (batch, statement, transactionStart) => follower.follow(batch, statement, transactionStart),
        heard: () => options.events.caughtUp(),
        handedOver: (batch) => options.events.handedOver(batch),
        failed: (error) => end.reject(error),
      },
    });
    const transport = await BinlogTransport.start(
      {
        settings,
        serverId,
        mariadb,
        heartbeatMs: options.heartbeatMs,
        // Files and offsets of another server say nothing here
        start: { ...start, gtid: moved ? start.gtid : null },
      },
      reader,
    );
    reader.flow.control(transport);
    return {
      ended,
      confirm: () => {},
      stop: async () => {
        await transport.stop();
        end.resolve();
      },
    };
  }

  async close(): Promise<void> {
    await this.#session.close();
  }
}

/**
 * MySQL 8 shows the statistics of tables as they were a day ago, the next number of a column among them, and may hide the
 * primary key that it made by itself (`sql_generate_invisible_primary_key`), which is in the binlog all the same.
 */
async function seeEverything(session: MysqlSession, { mariadb, number }: ServerFlavour): Promise<void> {
  if (mariadb || number < 80_000) return;
  await session.query('set session information_schema_stats_expiry = 0');
  if (number >= 80_030) await session.query('set session show_gipk_in_create_table_and_information_schema = on');
}
