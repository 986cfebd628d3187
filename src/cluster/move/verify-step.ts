import { verifyShard } from '../verify/verify-shard.ts';
import { MoveStalledError } from './errors.ts';
import { Marker } from './marker.ts';
import type { Moving } from './moving.ts';

/** So many differences are told; the rest is for `hypervault verify`. */
const SHOWN = 3;

/**
 * Compares the copies before the flip, outside the pause, by count and hash of rows; what differs is looked at again when
 * a marker has arrived behind it. Rows written so often that they are never at rest prove nothing and stop nothing.
 *
 * @throws MoveStalledError when they differ
 */
export async function verifyCopies(moving: Moving): Promise<{ rows: string; unsettled: number } | undefined> {
  const { options, source, target, schema, shardId, objects, signal } = moving;
  if (!options.verify) return undefined;
  const marker = new Marker(schema, source.client, target.client);
  const { rows, tables } = await verifyShard(shardId, source.connection, target.connection, {
    tables: objects.tables ?? [],
    schemaPrefix: schema.slice(0, -4),
    lagPassed: async ({ signal: stop }) => {
      if (await marker.arrived(await marker.write(), options.pauseWithinMs, stop)) return;
      throw new MoveStalledError(shardId, `${target.name} is behind ${source.name} for too long to compare them`);
    },
    onProgress: ({ rows: compared }) => moving.report('verify', { rows: compared }),
    signal,
  });
  const differing = tables.flatMap(({ table, differences, problem }) => [
    ...(problem === undefined ? [] : [`${table}: ${problem}`]),
    ...differences.map((difference) => `${table}: ${JSON.stringify(difference)}`),
  ]);
  if (differing.length > 0) {
    throw new MoveStalledError(
      shardId,
      `the copies differ: ${differing.slice(0, SHOWN).join('; ')} (${differing.length} differences; see hypervault verify)`,
    );
  }
  return { rows: rows.toString(), unsettled: tables.reduce((sum, { unsettled }) => sum + unsettled.length, 0) };
}
