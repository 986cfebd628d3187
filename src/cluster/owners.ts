import type { Client } from 'pg';
import type { ConnectionSettings } from '../core/index.ts';
import { endClient } from '../internal/client-guard.ts';
import { Endpoint } from '../internal/endpoint/endpoint.ts';
import { SQLSTATE, sqlStateOf } from '../internal/sqlstate.ts';

const NOT_INSTALLED = new Set<string | undefined>([SQLSTATE.undefinedFunction, SQLSTATE.invalidSchemaName]);

/** What one shard says of itself, on the server it was found on. */
export interface Owner {
  readonly shardId: number;
  /** The server it was found on. */
  readonly on: string;
  /** The server its owner row names; `null` when it was installed without names. */
  readonly owner: string | null;
  readonly epoch: bigint;
}

/** What could be read on a server, or why it could not. */
export type Answer<T> =
  | { readonly server: string; readonly answer: T; readonly error?: undefined }
  | { readonly server: string; readonly answer?: undefined; readonly error: unknown };

/** What could be read of a server's owner rows, or why it could not. */
export interface OwnersOfServer {
  readonly server: string;
  readonly owners?: readonly Owner[] | undefined;
  readonly error?: unknown;
}

/** Runs `work` on a session of its own with one server. */
export async function onServer<T>(
  connection: ConnectionSettings,
  work: (client: Client) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const endpoint = new Endpoint(connection);
  let client: Client | undefined;
  try {
    client = await endpoint.connect({ signal });
    return await work(client);
  } finally {
    if (client !== undefined) await endClient(client);
    await endpoint.close();
  }
}

/** Asks all servers side by side, each over a session of its own. A server that is away is an answer too. */
export function askServers<T>(
  servers: Readonly<Record<string, ConnectionSettings>>,
  ask: (client: Client, server: string) => Promise<T>,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<Answer<T>[]> {
  return Promise.all(
    Object.entries(servers).map(async ([server, connection]): Promise<Answer<T>> => {
      try {
        return { server, answer: await onServer(connection, (client) => ask(client, server), signal) };
      } catch (error) {
        if (signal?.aborted) throw error;
        return { server, error };
      }
    }),
  );
}

/** Reads the owner rows of all servers. */
export async function readOwners(
  servers: Readonly<Record<string, ConnectionSettings>>,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<OwnersOfServer[]> {
  const answers = await askServers(servers, async (client, server) => (await ownersOn(client, server)) ?? [], options);
  return answers.map(({ server, answer, error }) => ({ server, owners: answer, error }));
}

/** What the shards on a server say of themselves; `undefined` when nothing was ever installed on it. */
export async function ownersOn(client: Client, on: string): Promise<Owner[] | undefined> {
  try {
    const { rows } = await client.query<{ shard: number; server: string | null; epoch: string }>(
      'select shard, server, epoch from hypervault.owners()',
    );
    return rows.map(({ shard, server, epoch }) => ({ shardId: shard, on, owner: server, epoch: BigInt(epoch) }));
  } catch (error) {
    // A server that holds no shards, the control server say.
    if (NOT_INSTALLED.has(sqlStateOf(error))) return undefined;
    throw error;
  }
}
