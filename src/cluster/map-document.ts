import { type ConnectionSettings, formatShardRanges, parseShardRanges, ShardMap } from '../core/index.ts';
import { ConfigurationError } from '../errors.ts';

/**
 * The shard map as the control database keeps it: which server holds which shards, by name. How to reach a server stands
 * in each program's own configuration, so no password is ever in the map.
 */
export interface MapDocument {
  /** Grows by one with each change. */
  readonly epoch: bigint;
  /** Server names mapped to half-open ranges, e.g. `{ db1: '1-5,8-9', db2: '5-8' }`. */
  readonly servers: Readonly<Record<string, string>>;
}

/** The document as JSON, one server per line, so that two versions of it are easy to compare. */
export function formatMapDocument({ epoch, servers }: MapDocument): Buffer {
  const sorted = Object.fromEntries(Object.entries(servers).sort(([a], [b]) => (a < b ? -1 : 1)));
  return Buffer.from(`${JSON.stringify({ epoch: epoch.toString(), servers: sorted }, null, 2)}\n`);
}

/**
 * Reads a document.
 * @throws ConfigurationError when it is no map, ShardRangeError when a range is wrong
 */
export function parseMapDocument(payload: Buffer | string): MapDocument {
  let parsed: unknown;
  try {
    parsed = JSON.parse(payload.toString());
  } catch (cause) {
    throw new ConfigurationError('the shard map is no JSON', { cause });
  }
  const { epoch, servers } = (parsed ?? {}) as { epoch?: unknown; servers?: unknown };
  if (typeof epoch !== 'string' || !/^\d{1,18}$/.test(epoch)) {
    throw new ConfigurationError('the shard map has no epoch: a decimal number as a text is wanted');
  }
  if (typeof servers !== 'object' || servers === null || Array.isArray(servers)) {
    throw new ConfigurationError('the shard map has no servers: an object of names and ranges is wanted');
  }
  const checked: Record<string, string> = {};
  for (const [name, ranges] of Object.entries(servers)) {
    if (typeof ranges !== 'string') throw new ConfigurationError(`the shard map: the ranges of ${name} are no text`);
    // A server that holds nothing, yet or any more, stays known.
    checked[name] = ranges === '' ? '' : formatShardRanges(parseShardRanges(ranges, `the shard map, ${name}`));
  }
  return { epoch: BigInt(epoch), servers: checked };
}

/**
 * The map of a document, for a program that knows how to reach each server.
 * @throws ConfigurationError for a server this program knows nothing of, ShardRangeError when a shard has two
 */
export function mapOf(
  { epoch, servers }: MapDocument,
  connections: Readonly<Record<string, ConnectionSettings>>,
): ShardMap {
  return new ShardMap(
    Object.entries(servers).map(([name, ranges]) => {
      const connection = connections[name];
      if (connection === undefined) {
        throw new ConfigurationError(
          `the shard map names the server ${JSON.stringify(name)}, which this configuration does not have; it has ${Object.keys(connections).join(', ')}`,
        );
      }
      return { name, connection, ranges: ranges === '' ? [] : parseShardRanges(ranges) };
    }),
    { epoch },
  );
}

/** The document of a map. */
export function documentOf(map: ShardMap, epoch: bigint = map.epoch): MapDocument {
  return {
    epoch,
    servers: Object.fromEntries(map.servers.map(({ name, ranges }) => [name, formatShardRanges(ranges)])),
  };
}
