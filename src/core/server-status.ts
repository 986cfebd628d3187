import type { Client } from 'pg';
import { AbortedError, HypervaultError } from '../errors.ts';
import { Endpoint } from '../internal/endpoint/endpoint.ts';
import { checkServer, type ExpectedSettings, type ServerSettings } from './first-contact.ts';
import { schemaName } from './schema-name.ts';
import type { ShardServer } from './shard-map.ts';
import { formatShardRanges, parseShardRanges, type ShardRange, shardsOf } from './shard-range.ts';

/** How one server is, as seen from here and now. */
export interface ServerStatus {
  readonly name: string;
  /** `host:port/database`; of several hosts all. */
  readonly address: string;
  /** The shards it should hold, half-open; empty when it holds none. */
  readonly ranges: string;
  /** Whether it answered. */
  readonly up: boolean;
  readonly role?: 'primary' | 'standby';
  /** Of Postgres, e.g. `18.1`. */
  readonly version?: string;
  readonly roundTripMs?: number;
  /** Its clock minus ours, in ms; no more exact than half the round trip. */
  readonly clockOffsetMs?: number;
  /** Sessions open on it, of all programs, and how many it takes. */
  readonly sessions?: { readonly open: number; readonly max: number };
  readonly sizeBytes?: bigint;
  /** Shards that it should hold and has. */
  readonly shardsReady?: number;
  /** Shards that it should hold and lacks, half-open; empty when all are there. */
  readonly shardsMissing?: string;
  readonly settings?: ServerSettings;
  /** What is wrong; absent when all is well. */
  readonly problem?: { readonly code: string; readonly message: string };
}

/**
 * Looks at one server over a session of its own. Never rejects for what is wrong with the server: that is the answer.
 *
 * @throws AbortedError
 */
export async function serverStatus(
  { name, connection, ranges }: ShardServer,
  expected: ExpectedSettings,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<ServerStatus> {
  const endpoint = new Endpoint(connection);
  const base = { name, address: endpoint.label, ranges: formatShardRanges(ranges) };
  let known: Partial<ServerStatus> = {};
  let client: Client | undefined;
  try {
    client = await endpoint.connect({ signal });
    known = await facts(client);
    if (ranges.length > 0) {
      known = { ...known, ...(await shards(client, ranges, expected.schemaPrefix)) };
      known = { ...known, settings: await checkServer(client, expected, name) };
    }
    const missing = known.shardsMissing ?? '';
    const problem = { code: 'SCHEMA', message: `${name} lacks shards ${missing}; run hypervault init, or install()` };
    return { ...base, up: true, ...known, ...(missing !== '' && { problem }) };
  } catch (error) {
    if (error instanceof AbortedError) throw error;
    return { ...base, up: known.version !== undefined, ...known, problem: problemOf(error) };
  } finally {
    await client?.end().catch(() => {});
    await endpoint.close();
  }
}

async function facts(client: Client): Promise<Partial<ServerStatus>> {
  const [sent, at] = [performance.now(), Date.now()];
  const { rows } = await client.query<{
    version: string;
    standby: boolean;
    clock: number;
    open: number;
    max: number;
    size: string;
  }>(
    `select current_setting('server_version') as version,
            pg_is_in_recovery() as standby,
            (date_part('epoch', clock_timestamp()) * 1000)::float8 as clock,
            (select count(*)::int from pg_stat_activity where backend_type = 'client backend') as open,
            current_setting('max_connections')::int as max,
            pg_database_size(current_database()) as size`,
  );
  const roundTripMs = performance.now() - sent;
  const row = rows[0]!;
  return {
    version: row.version.split(' ')[0]!,
    role: row.standby ? 'standby' : 'primary',
    roundTripMs: Math.round(roundTripMs * 100) / 100,
    clockOffsetMs: Math.round(row.clock - (at + roundTripMs / 2)),
    sessions: { open: row.open, max: row.max },
    sizeBytes: BigInt(row.size),
  };
}

async function shards(client: Client, ranges: readonly ShardRange[], prefix: string): Promise<Partial<ServerStatus>> {
  const wanted = shardsOf(ranges);
  const { rows } = await client.query<{ schema: string }>(
    `select namespace.nspname as schema
     from pg_catalog.pg_namespace as namespace
     join pg_catalog.pg_class as class on class.relnamespace = namespace.oid and class.relname = 'entities'
     where namespace.nspname = any($1)`,
    [wanted.map((shardId) => schemaName(prefix, shardId))],
  );
  const there = new Set(rows.map(({ schema }) => schema));
  const missing = wanted.filter((shardId) => !there.has(schemaName(prefix, shardId)));
  const joined = missing.length === 0 ? [] : parseShardRanges(missing.map((from) => ({ from, to: from + 1 })));
  return { shardsReady: wanted.length - missing.length, shardsMissing: formatShardRanges(joined) };
}

function problemOf(error: unknown): NonNullable<ServerStatus['problem']> {
  const message = error instanceof Error ? error.message : String(error);
  return { code: error instanceof HypervaultError ? error.code : 'FAILED', message };
}
