import type { Logger } from '../core/index.ts';
import { ConfigurationError } from '../errors.ts';
import type { Endpoint } from '../internal/endpoint/endpoint.ts';
import { assertKnownKeys } from '../internal/known-keys.ts';
import type { ConnectionSettings } from '../listen/index.ts';
import { jsonCodec, jsonObjectCodec, type ValueCodec } from './codec.ts';
import { KvDatabase } from './kv-database.ts';

/** What storage, keeper and {@link openKv} take in common. */
export interface PostgresKvOptions<V> {
  /**
   * The database: `postgres://…`, settings (several hosts too), or a {@link KvDatabase} that is shared
   * and closed by whoever made it.
   */
  readonly connection: string | ConnectionSettings | Endpoint | KvDatabase;
  /** The namespace of the keys: keys of different ones have nothing to do with each other. @default 'kv' */
  readonly table?: string | undefined;
  /** How payloads become values; `'json'` and `'json-object'` by name, for configuration files. @default the bytes */
  readonly codec?: ValueCodec<V> | 'json' | 'json-object' | undefined;
  /** Makes the tables on `start()` when they are missing; `false` fails then. @default true */
  readonly install?: boolean | undefined;
  /** Told what went wrong and was gone on from. @default silent */
  readonly logger?: Logger | undefined;
}

export interface ResolvedKvOptions<V> {
  readonly database: KvDatabase;
  readonly ownsDatabase: boolean;
  readonly namespace: string;
  readonly codec: ValueCodec<V> | undefined;
  readonly install: boolean;
  readonly logger: Logger | undefined;
}

const KEYS = [
  'connection',
  'table',
  'codec',
  'install',
  'logger',
] as const satisfies readonly (keyof PostgresKvOptions<unknown>)[];

/** @throws ConfigurationError naming the option; does no I/O */
export function resolveKvOptions<V>(options: PostgresKvOptions<V>, where: string): ResolvedKvOptions<V> {
  assertKnownKeys(options, KEYS, `${where} options`);
  const { connection, table = 'kv', install = true, logger } = options;
  const codec = resolveCodec<V>(options.codec, where);
  if (connection === undefined) throw new ConfigurationError(`${where}: option "connection" is missing`);
  // It travels in every notification, and those have room for 8000 bytes in all.
  if (typeof table !== 'string' || table === '' || Buffer.byteLength(table) > 255 || table.includes('\0')) {
    throw new ConfigurationError(`${where}: option "table" must be a text of 1 to 255 bytes`);
  }
  const ownsDatabase = !(connection instanceof KvDatabase);
  const database = connection instanceof KvDatabase ? connection : new KvDatabase({ connection });
  return { database, ownsDatabase, namespace: table, codec, install, logger };
}

function resolveCodec<V>(codec: PostgresKvOptions<V>['codec'], where: string): ValueCodec<V> | undefined {
  if (codec === 'json') return jsonCodec<V>();
  if (codec === 'json-object') return jsonObjectCodec as ValueCodec<unknown> as ValueCodec<V>;
  if (codec === undefined || (typeof codec === 'object' && typeof codec.deserialize === 'function')) return codec;
  throw new ConfigurationError(
    `${where}: option "codec" must be 'json', 'json-object', or have a deserialize function`,
  );
}
