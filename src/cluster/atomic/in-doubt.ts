import type { Client } from 'pg';
import { type ConnectionSettings, schemaName } from '../../core/index.ts';
import { quoteIdentifier } from '../../internal/quote.ts';
import { SQLSTATE, sqlStateOf } from '../../internal/sqlstate.ts';
import { onServer } from '../owners.ts';
import type { AtomicPart } from './part-name.ts';
import type { Prepared, PreparedOnServer } from './prepared.ts';

/** The shard is not where the map says, or this role may not look. */
const NOT_THERE = new Set<string | undefined>([
  SQLSTATE.undefinedTable,
  SQLSTATE.invalidSchemaName,
  SQLSTATE.insufficientPrivilege,
]);

/**
 * What is known of the write that a part belongs to, by a look that changes nothing:
 * `decided` – its decision stands, so the part is to be committed; `undecided` – it has none, so the part is to be rolled
 * back, unless its writer is about to decide; `unknown` – the shard that would know could not be asked.
 */
export type PartDecision = 'decided' | 'undecided' | 'unknown';

/** A prepared transaction somewhere in the installation. */
export interface PreparedReport extends Prepared {
  readonly server: string;
  /** Of a part; `undefined` for what somebody else prepared. */
  readonly decision: PartDecision | undefined;
}

/** Where shards are, for a look at decisions. */
export interface DecisionPlaces {
  /** The server that has a shard by the map. */
  readonly serverOf: (shardId: number) => string | undefined;
  readonly servers: Readonly<Record<string, ConnectionSettings>>;
  readonly schemaPrefix: string;
  readonly signal?: AbortSignal | undefined;
}

/** All that is prepared on these servers, each once, with what is known of the writes that parts belong to. Only reads. */
export async function describePrepared(
  found: ReadonlyMap<string, PreparedOnServer>,
  places: DecisionPlaces,
): Promise<PreparedReport[]> {
  const reports = eachOnce(found);
  const parts = reports.flatMap(({ part }) => part ?? []);
  const decisions = await lookAtDecisions(parts, places);
  return reports.map((report) => ({
    ...report,
    decision: report.part && (decisions.get(keyOf(report.part)) ?? 'unknown'),
  }));
}

/** Two servers of the map may be two databases of one Postgres, which tells what is prepared in both. */
function eachOnce(found: ReadonlyMap<string, PreparedOnServer>): (Prepared & { readonly server: string })[] {
  const home = new Map([...found].map(([name, { system, database }]) => [`${system}/${database}`, name]));
  const seen = new Set<string>();
  return [...found].sort().flatMap(([server, { system, prepared }]) =>
    prepared.flatMap((one) => {
      const own = home.get(`${system}/${one.database}`);
      if (own !== undefined && own !== server) return [];
      const key = `${system}/${one.name}`;
      if (seen.has(key)) return [];
      seen.add(key);
      return [{ ...one, server }];
    }),
  );
}

/** One write may be asked for at one coordinator only. */
function keyOf({ id, coordinator }: Pick<AtomicPart, 'id' | 'coordinator'>): string {
  return `${coordinator}:${id}`;
}

/** By the writes' keys; those are missing whose coordinator could not be asked. */
async function lookAtDecisions(
  parts: readonly AtomicPart[],
  { serverOf, servers, schemaPrefix, signal }: DecisionPlaces,
): Promise<Map<string, PartDecision>> {
  const byServer = new Map<string, Map<number, string[]>>();
  for (const { id, coordinator } of parts) {
    const server = serverOf(coordinator);
    if (server === undefined) continue;
    const shards = byServer.get(server) ?? new Map<number, string[]>();
    byServer.set(server, shards.set(coordinator, [...(shards.get(coordinator) ?? []), id]));
  }
  const decisions = new Map<string, PartDecision>();
  await Promise.all(
    [...byServer].map(async ([server, shards]) => {
      const connection = servers[server];
      if (connection === undefined) return;
      const look = onServer(
        connection,
        async (client) => {
          for (const [coordinator, ids] of shards) {
            const { owner, decided } = await readDecisions(client, schemaName(schemaPrefix, coordinator), ids);
            for (const id of ids) {
              const key = keyOf({ id, coordinator });
              if (decided.includes(id)) decisions.set(key, 'decided');
              // A copy that is the shard no more knows nothing of what came after it.
              else if (owner === null || owner === server) decisions.set(key, 'undecided');
            }
          }
        },
        signal,
      );
      // A server that is away leaves its writes unknown.
      await look.catch((error: unknown) => {
        if (signal?.aborted) throw error;
      });
    }),
  );
  return decisions;
}

async function readDecisions(
  client: Client,
  schema: string,
  ids: readonly string[],
): Promise<{ readonly owner: string | null; readonly decided: readonly string[] }> {
  const from = quoteIdentifier(schema);
  try {
    const { rows } = await client.query<{ owner: string | null; decided: string[] }>(
      `select (select server from ${from}.hv_owner) as owner,
         array(select id::text from ${from}.hv_decision where id = any($1)) as decided`,
      [ids],
    );
    return rows[0]!;
  } catch (error) {
    if (!NOT_THERE.has(sqlStateOf(error))) throw error;
    return { owner: '', decided: [] };
  }
}
