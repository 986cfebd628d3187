import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Client } from 'pg';
import { type ConnectionSettings, type ShardMap, schemaName, shardsOf } from '../core/index.ts';
import { ConfigurationError, SchemaError } from '../errors.ts';
import { ADVISORY_LOCK_CLASS } from '../internal/advisory-locks.ts';
import { endClient, lossOf } from '../internal/client-guard.ts';
import { Endpoint } from '../internal/endpoint/endpoint.ts';
import { readLedger, runMigrations } from '../internal/migrations.ts';
import { quoteIdentifier } from '../internal/quote.ts';
import { throwIfAborted } from '../internal/sleep.ts';
import { readSqlFolder, type SqlFile } from '../internal/sql-files.ts';
import { SQLSTATE, sqlStateOf } from '../internal/sqlstate.ts';
import { MigrationsFailedError } from './errors.ts';

/** The user's own migrations are written down here, in each shard. */
export const MIGRATIONS_LEDGER = { table: 'hv_migrations', module: 'app', scope: 'shard' } as const;

/** How far migrations have come. */
export interface MigrateProgress {
  readonly server: string;
  readonly shardId: number;
  /** Files that ran, or with `dryRun` would run. */
  readonly applied: readonly string[];
  readonly error: unknown;
  /** Shards looked at, over all servers. */
  readonly done: number;
  readonly total: number;
  /** Shards a second since the start. */
  readonly rate: number;
}

export interface MigrateOptions {
  /** The folder with `001-name.sql`, `002-….sql`, and `functions/`, `views/`. */
  readonly directory: string;
  /** @default every shard of the map */
  readonly shards?: readonly number[] | undefined;
  /** Schemas of shards are this prefix and four digits. @default 'shard' */
  readonly schemaPrefix?: string | undefined;
  /** Sessions on each server at the same time. @default 4 */
  readonly concurrency?: number | undefined;
  /** Longest wait for a table's lock: a migration that can't get it fails its shard, and no query queues behind it. @default 3000 */
  readonly lockTimeoutMs?: number | undefined;
  /** Only says what would run. @default false */
  readonly dryRun?: boolean | undefined;
  readonly onProgress?: ((progress: MigrateProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What ran where. */
export interface MigrateResult {
  /** By shard, ascending: the files that ran, or with `dryRun` would run. */
  readonly applied: ReadonlyMap<number, readonly string[]>;
}

/**
 * Runs the user's own numbered SQL files on every shard: a ledger in each shard, a transaction for each shard and file,
 * servers side by side, several shards of one at a time. What is done is not done again, so a run that was interrupted,
 * or failed on some shards, is simply run again. Unqualified names are found in the shard.
 *
 * @throws MigrationsFailedError when some shards failed: all others are done; ConfigurationError for a folder without
 *   files
 */
export async function migrate(map: ShardMap, options: MigrateOptions): Promise<MigrateResult> {
  const { directory, concurrency = 4, schemaPrefix = 'shard', signal, onProgress, dryRun = false } = options;
  const files = await readSqlFolder(pathToFileURL(`${resolve(directory)}/`), directory);
  if (files.length === 0) throw new ConfigurationError(`${directory} holds no migrations; name them 001-what.sql`);
  const wanted = options.shards === undefined ? undefined : new Set(options.shards);
  for (const shardId of wanted ?? []) map.serverOf(shardId);
  const total = wanted?.size ?? map.shards.length;
  const applied = new Map<number, readonly string[]>();
  const failures: { shardId: number; server: string; error: unknown }[] = [];
  const names = map.servers.map(({ name }) => name);
  const started = performance.now();
  const tell = (server: string, shardId: number, error: unknown): void => {
    const done = applied.size + failures.length;
    const rate = (done * 1000) / (performance.now() - started);
    onProgress?.({ server, shardId, applied: applied.get(shardId) ?? [], error, done, total, rate });
  };
  await Promise.all(
    map.servers.map(async ({ name, connection, ranges }) => {
      const queue = shardsOf(ranges).filter((shardId) => wanted?.has(shardId) ?? true);
      const worker = async (): Promise<void> => {
        // One session for many shards: to open one costs more than a small migration.
        await using session = new WorkerSession(connection, signal);
        for (let shardId = queue.shift(); shardId !== undefined; shardId = queue.shift()) {
          throwIfAborted(signal, 'migrate');
          try {
            const schema = schemaName(schemaPrefix, shardId);
            const client = await session.client();
            const place = { client, schema, shardId, server: name, others: names.filter((other) => other !== name) };
            applied.set(shardId, await migrateShard(place, files, { ...options, dryRun }));
            tell(name, shardId, undefined);
          } catch (error) {
            throwIfAborted(signal, 'migrate');
            failures.push({ shardId, server: name, error });
            tell(name, shardId, error);
          }
        }
      };
      await Promise.all(Array.from({ length: Math.min(concurrency, queue.length) }, worker));
    }),
  );
  failures.sort((a, b) => a.shardId - b.shardId);
  if (failures.length > 0) throw new MigrationsFailedError(failures);
  return { applied: new Map([...applied].sort(([a], [b]) => a - b)) };
}

/** The session of one worker; another one is opened when it was lost. */
class WorkerSession {
  readonly #endpoint: Endpoint;
  readonly #signal: AbortSignal | undefined;
  #client: Client | undefined;

  constructor(connection: ConnectionSettings, signal: AbortSignal | undefined) {
    this.#endpoint = new Endpoint(connection);
    this.#signal = signal;
  }

  async client(): Promise<Client> {
    if (this.#client === undefined || lossOf(this.#client) !== undefined) {
      this.#client = await this.#endpoint.connect({ signal: this.#signal });
    }
    return this.#client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#client !== undefined) await endClient(this.#client);
    await this.#endpoint.close();
  }
}

interface Place {
  readonly client: Client;
  readonly schema: string;
  readonly shardId: number;
  readonly server: string;
  /** The other servers of the map. */
  readonly others: readonly string[];
}

async function migrateShard(
  { client, schema, shardId, server, others }: Place,
  files: readonly SqlFile[],
  { lockTimeoutMs = 3_000, dryRun, signal }: MigrateOptions,
): Promise<readonly string[]> {
  const hasLeft = (cause?: unknown): SchemaError =>
    new SchemaError(`shard ${shardId} has left ${server} meanwhile; run the migrations again, with the newest map`, {
      retryable: true,
      cause,
    });
  try {
    const { applied } = await runMigrations({
      client,
      files,
      ledger: { ...MIGRATIONS_LEDGER, schema },
      // The lock that a move of this shard takes too: the structure must not change under it.
      lock: { class: ADVISORY_LOCK_CLASS.shard, key: shardId },
      // When that was waited for, the shard may be elsewhere, and here a copy that is kept for the way back.
      guard: {
        text: `select server from ${quoteIdentifier(schema)}.hv_owner`,
        accept: ([owner]) => {
          if (others.includes(String(owner?.server))) throw hasLeft();
        },
      },
      transaction: 'each',
      searchPath: [schema, 'public'],
      // A move makes the shard's structure elsewhere by running the same files again.
      keepSource: true,
      lockTimeoutMs,
      dryRun,
      signal,
    });
    return applied.map(({ name }) => name);
  } catch (error) {
    throwIfAborted(signal, 'migrate');
    if (NOT_THERE.has(sqlStateOf(error)) && (await isGone(client, schema))) throw hasLeft(error);
    throw error;
  }
}

const NOT_THERE = new Set<string | undefined>([SQLSTATE.undefinedTable, SQLSTATE.invalidSchemaName]);

async function isGone(client: Client, schema: string): Promise<boolean> {
  return (await client.query('select from pg_namespace where nspname = $1', [schema])).rows.length === 0;
}

/** Which migrations each shard has. */
export async function migrationStatus(
  map: ShardMap,
  { schemaPrefix = 'shard', signal }: { schemaPrefix?: string | undefined; signal?: AbortSignal | undefined } = {},
): Promise<Map<number, readonly string[]>> {
  const status = new Map<number, readonly string[]>();
  await Promise.all(
    map.servers.map(async ({ connection, ranges }) => {
      const endpoint = new Endpoint(connection);
      const client = await endpoint.connect({ signal });
      try {
        for (const shardId of shardsOf(ranges)) {
          throwIfAborted(signal, 'reading migrations');
          const rows = await readLedger(client, { ...MIGRATIONS_LEDGER, schema: schemaName(schemaPrefix, shardId) });
          status.set(
            shardId,
            rows.filter(({ kind }) => kind === 'migration').map(({ name }) => name),
          );
        }
      } finally {
        await endClient(client);
        await endpoint.close();
      }
    }),
  );
  return new Map([...status].sort(([a], [b]) => a - b));
}
