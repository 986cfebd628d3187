import { SQLSTATE, SV, sqlStateOf } from '../../internal/sqlstate.ts';
import type { SourceRow } from '../catalogue/source-rows.ts';
import type { SourceConfig } from '../config/source-config.ts';
import { ReplicaStateError } from '../errors.ts';
import type { Destination } from '../route/router.ts';
import type { EngineContext } from './context.ts';

/** What a server says of its shards. */
interface OwnerRow {
  readonly shard: number;
  readonly server: string | null;
}

/**
 * Keeps the shards that a source's rows go into where they are, until the source is forgotten: the place in the log is
 * kept by server, and a shard that moved would miss changes there or get them twice. To be called under the source's lock
 * before anything is written.
 *
 * First the hold, then the look at the map: a move that was over before the hold is in the map, and none begins after it.
 * What the map says is compared with the shards themselves, so that an old map, or a server set back to an earlier day,
 * gets no row.
 *
 * @throws ReplicaStateError when a shard is on the move, or is not where the map says
 */
export async function holdShards(context: EngineContext, config: SourceConfig, source: SourceRow): Promise<void> {
  if (config.routing === null) return;
  const shards = context.places.allShards().map(({ shard }) => shard!);
  await context.control(async (client) => {
    try {
      await client.query('begin isolation level read committed');
      await client.query('select hypervault.import_hold_shards($1, $2)', [source.id.toString(), shards]);
      await client.query('commit');
    } catch (error) {
      await client.query('rollback').catch(() => {});
      throw sqlStateOf(error) === SV.importShardMoving ? onTheMove(source, error) : error;
    }
  });
  await context.places.refresh();
  await Promise.all(context.places.shardServers().map((server) => assertOwned(context, source, server)));
}

function onTheMove({ name }: SourceRow, cause: unknown): ReplicaStateError {
  const { id, shard, source, target, state } = JSON.parse((cause as { detail: string }).detail) as {
    readonly [key in 'id' | 'shard' | 'source' | 'target' | 'state']: string;
  };
  const remedy =
    state === 'moved'
      ? 'its way back is kept: confirm the move with hypervault move --finish, or go back with --revert'
      : 'wait for the move, or undo it with hypervault move --abort';
  return new ReplicaStateError(
    `the source ${name}: no rows can go into shard ${shard} while it is on its way from ${source} to ${target} (move ${id}); ${remedy}`,
    { cause },
  );
}

async function assertOwned(context: EngineContext, source: SourceRow, server: string): Promise<void> {
  const placed = context.places.allShards().filter((place) => place.server === server);
  const owners = await context.servers.with(server, async (client): Promise<OwnerRow[] | null> => {
    try {
      return (await client.query<OwnerRow>('select shard, server from hypervault.owners()')).rows;
    } catch (error) {
      // Made by the original tool, or by nobody yet: what is missing there is told by whoever needs it
      if ([SQLSTATE.undefinedFunction, SQLSTATE.invalidSchemaName].some((state) => state === sqlStateOf(error)))
        return null;
      throw error;
    }
  });
  if (owners === null && !context.places.isLive) return;
  const byShard = new Map(owners?.map((row) => [row.shard, row.server]));
  for (const { shard } of placed as readonly (Destination & { shard: number })[]) {
    const owner = byShard.get(shard);
    const elsewhere = typeof owner === 'string' && owner !== server && context.servers.names.includes(owner);
    const absent = owner === undefined && context.places.isLive;
    if (!elsewhere && !absent) continue;
    throw new ReplicaStateError(
      `the source ${source.name}: ${context.places.isLive ? 'the shard map' : 'the configuration'} gives shard ${shard} to ${server}, where ${absent ? 'it is not' : `its owner row says that it lives on ${owner}`}; look with hypervault fsck`,
    );
  }
}
