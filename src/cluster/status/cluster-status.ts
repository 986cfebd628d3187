import type { ConnectionSettings, ShardMap } from '../../core/index.ts';
import { describePrepared, type PreparedReport } from '../atomic/in-doubt.ts';
import { type PreparedOnServer, readPrepared } from '../atomic/prepared.ts';
import { onServer } from '../owners.ts';
import { SUBSCRIPTIONS, type SubscriptionsOf } from '../stray-slots.ts';
import { type Leftover, leftoversOf } from './leftovers.ts';
import { type MoveReport, readOpenMoves } from './moves.ts';
import { type ReplicationReport, readReplication } from './replication.ts';
import { readShards, type ShardReport } from './shards.ts';

/** One server: what it holds and what flows in and out, or why it could not be asked. */
export type ClusterServerReport =
  | {
      readonly name: string;
      readonly replication: ReplicationReport;
      /** Every shard schema on it, also copies on their way in or out. */
      readonly shards: readonly ShardReport[];
      readonly error?: undefined;
    }
  | { readonly name: string; readonly error: unknown; readonly replication?: undefined; readonly shards?: undefined };

/** How the whole installation is. */
export interface ClusterStatus {
  readonly epoch: bigint;
  readonly servers: readonly ClusterServerReport[];
  /** Moves that are not over. */
  readonly moves: readonly MoveReport[];
  /** What belongs to no shard of the map and to no open move. Of servers that answered. */
  readonly leftovers: readonly Leftover[];
  /** Prepared transactions: parts of atomic writes in doubt, and those of others. Of servers that answered. */
  readonly prepared: readonly PreparedReport[];
}

/** What a look at an installation needs to know. */
export interface ClusterStatusOptions {
  /** The control database, for moves. @default none: moves are not known */
  readonly control?: ConnectionSettings | undefined;
  /** Servers beside those of the map. @default {} */
  readonly servers?: Readonly<Record<string, ConnectionSettings>> | undefined;
  /** @default 'shard' */
  readonly schemaPrefix?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Looks at every server side by side: shards, sizes, replication; and at the moves that are not over. Only reads.
 * A server that is away is part of the answer.
 *
 * @throws AbortedError; what the control database answers when it can't be read
 */
export async function clusterStatus(
  map: ShardMap,
  { control, servers = {}, schemaPrefix = 'shard', signal }: ClusterStatusOptions = {},
): Promise<ClusterStatus> {
  const all = new Map(Object.entries(servers));
  const prepared = new Map<string, PreparedOnServer>();
  const subscriptions = new Map<string, SubscriptionsOf>();
  for (const { name, connection } of map.servers) all.set(name, connection);
  const [moves, reports] = await Promise.all([
    control === undefined ? undefined : onServer(control, readOpenMoves, signal),
    Promise.all(
      [...all].map(async ([name, connection]): Promise<ClusterServerReport> => {
        try {
          return await onServer(
            connection,
            async (client) => {
              const replication = await readReplication(client);
              // Behind the slots: a subscription is there before slots are named after it.
              subscriptions.set(name, (await client.query<SubscriptionsOf>(SUBSCRIPTIONS)).rows[0]!);
              const shards = await readShards(client, name, schemaPrefix);
              prepared.set(name, await readPrepared(client));
              return { name, replication, shards };
            },
            signal,
          );
        } catch (error) {
          if (signal?.aborted) throw error;
          return { name, error };
        }
      }),
    ),
  ]);
  const answered = reports.flatMap((report) =>
    report.replication === undefined ? [] : [{ ...report, subscriptions: subscriptions.get(report.name)! }],
  );
  const places = {
    serverOf: (shardId: number) => (map.has(shardId) ? map.serverOf(shardId).name : undefined),
    servers: Object.fromEntries(all),
    schemaPrefix,
    signal,
  };
  return {
    epoch: map.epoch,
    servers: reports,
    moves: moves ?? [],
    leftovers: leftoversOf(map, moves, answered, answered.length === reports.length),
    prepared: await describePrepared(prepared, places),
  };
}
