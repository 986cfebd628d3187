import type { Client } from 'pg';
import { quoteIdentifier } from '../../internal/quote.ts';
import { columnList, qualify } from '../apply/table-sql.ts';
import { fitName } from '../mapping/names.ts';
import { qualifiedName, type SourceForeignKey, type SourceTable } from '../model/source-table.ts';
import type { Destination, Router } from '../route/router.ts';

/** A replicated table with the places its rows are in. */
export interface PlacedTable {
  readonly source: SourceTable;
  readonly targetName: string;
  readonly router: Router;
}

/** A foreign key that was made, or why it was not. */
export interface ForeignKeyResult {
  readonly table: string;
  readonly name: string;
  readonly made: boolean;
  readonly reason: string | null;
}

/**
 * Makes the source's foreign keys, with what they do on delete and update: first NOT VALID, which only takes a short
 * lock, then each is validated without locking writers out. One whose parent is not here, or whose rows violate it, is
 * left out and reported.
 */
export async function createForeignKeys(
  tables: readonly PlacedTable[],
  connect: <Result>(server: string, work: (client: Client) => Promise<Result>) => Promise<Result>,
): Promise<ForeignKeyResult[]> {
  const plans = tables.flatMap((child) => child.source.foreignKeys.map((key) => planKey(tables, child, key)));
  const servers = new Set(plans.flatMap(({ places }) => places.map(({ place }) => place.server)));
  // While nobody can write, every moment counts: the servers side by side, on each one session for all of its places
  const failures = new Map<KeyPlan, string>();
  await Promise.all(
    [...servers].map((server) =>
      connect(server, async (client) => {
        // What is committed last, by whoever made us do this, waits for the disk; until then all of it can be done again
        await client.query('set synchronous_commit = off');
        for (const plan of plans) {
          const places = plan.places.filter(({ place }) => place.server === server);
          const reason = plan.reason ?? (await makeOn(client, plan, places, () => failures.has(plan)));
          if (reason !== null && !failures.has(plan)) failures.set(plan, reason);
        }
      }),
    ),
  );
  // All shards alike: what one of them cannot have, no other keeps
  const halfMade = plans.filter((plan) => failures.has(plan) && plan.reason === null);
  for (const server of halfMade.length === 0 ? [] : servers) {
    await connect(server, async (client) => {
      for (const { child, key, places } of halfMade) {
        for (const { place } of places) if (place.server === server) await dropKey(client, child, place, key);
      }
    });
  }
  return plans.map((plan) => {
    const reason = plan.reason ?? failures.get(plan) ?? null;
    return { table: qualifiedName(plan.child.source), name: plan.key.name, made: reason === null, reason };
  });
}

/** A foreign key with the places where it shall be. */
interface KeyPlan {
  readonly child: PlacedTable;
  readonly parent: PlacedTable | undefined;
  readonly key: SourceForeignKey;
  readonly places: readonly { readonly place: Destination; readonly beside: Destination }[];
  /** Why it can be nowhere. */
  readonly reason: string | null;
}

function planKey(tables: readonly PlacedTable[], child: PlacedTable, key: SourceForeignKey): KeyPlan {
  const wanted = `${key.parentSchema}.${key.parentTable}`;
  const parent = tables.find(({ source }) => qualifiedName(source) === wanted);
  const refused = (reason: string): KeyPlan => ({ child, parent, key, places: [], reason });
  if (parent === undefined) return refused(`its parent ${wanted} is not replicated`);
  const places: { place: Destination; beside: Destination }[] = [];
  for (const place of child.router.destinations) {
    const beside = parentBeside(place, parent);
    if (beside === null) return refused('it would reach from one shard into another');
    places.push({ place, beside });
  }
  return { child, parent, key, places, reason: null };
}

async function makeOn(
  client: Client,
  { child, parent, key }: KeyPlan,
  places: KeyPlan['places'],
  isLost: () => boolean,
): Promise<string | null> {
  for (const { place, beside } of places) {
    if (isLost()) return null;
    const reason = await addForeignKey(client, child, place, parent!, beside, key);
    if (reason !== null) return reason;
  }
  return null;
}

async function dropKey(
  client: Client,
  { targetName }: PlacedTable,
  { schema }: Destination,
  { name }: SourceForeignKey,
): Promise<void> {
  await client.query(
    `alter table ${qualify(schema, targetName)} drop constraint if exists ${quoteIdentifier(fitName(name))}`,
  );
}

/** Takes the foreign keys away again that {@link createForeignKeys} has made on a server. */
export async function dropForeignKeys(
  client: Client,
  places: readonly { readonly schema: string; readonly name: string; readonly source: SourceTable }[],
): Promise<void> {
  for (const { schema, name, source } of places) {
    for (const key of source.foreignKeys) {
      await client.query(
        `alter table if exists ${qualify(schema, name)} drop constraint if exists ${quoteIdentifier(fitName(key.name))}`,
      );
    }
  }
}

/**
 * Takes off what {@link createForeignKeys} made: a detach that was cut off may have made some, and they would check, and
 * act, on states in between when replication goes on.
 *
 * @returns how many there were
 */
export async function takeOffForeignKeys(
  tables: readonly PlacedTable[],
  connect: <Result>(server: string, work: (client: Client) => Promise<Result>) => Promise<Result>,
): Promise<number> {
  let dropped = 0;
  const keys = tables.flatMap(({ source, targetName, router }) =>
    source.foreignKeys.flatMap(({ name }) =>
      router.destinations.map(({ server, schema }) => ({ server, schema, table: targetName, name: fitName(name) })),
    ),
  );
  for (const server of new Set(keys.map((key) => key.server))) {
    const own = keys.filter((key) => key.server === server);
    await connect(server, async (client) => {
      const { rows } = await client.query<{ schema: string; table: string; name: string }>(
        `select wanted.*
           from unnest($1::text[], $2::text[], $3::text[]) as wanted ("schema", "table", name)
           join pg_namespace n on n.nspname = wanted."schema"
           join pg_class c on c.relnamespace = n.oid and c.relname = wanted."table"
           join pg_constraint k on k.conrelid = c.oid and k.conname = wanted.name and k.contype = 'f'`,
        [own.map(({ schema }) => schema), own.map(({ table }) => table), own.map(({ name }) => name)],
      );
      for (const { schema, table, name } of rows)
        await client.query(`alter table ${qualify(schema, table)} drop constraint if exists ${quoteIdentifier(name)}`);
      dropped += rows.length;
    });
  }
  return dropped;
}

/** The parent's rows that a child at this place can refer to: in the same schema, else a whole copy on the same server. */
function parentBeside(place: Destination, parent: PlacedTable): Destination | null {
  const { destinations } = parent.router;
  if (destinations.includes(place)) return place;
  if (parent.router.kind === 'by-key') return null;
  return destinations.find(({ server }) => server === place.server) ?? null;
}

async function addForeignKey(
  client: Client,
  child: PlacedTable,
  place: Destination,
  parent: PlacedTable,
  beside: Destination,
  key: SourceForeignKey,
): Promise<string | null> {
  const table = qualify(place.schema, child.targetName);
  const name = quoteIdentifier(fitName(key.name));
  try {
    await dropKey(client, child, place, key);
    await client.query(
      `alter table ${table} add constraint ${name} foreign key (${columnList(key.columns)})
         references ${qualify(beside.schema, parent.targetName)} (${columnList(key.parentColumns)})
         on delete ${key.onDelete} on update ${key.onUpdate} ${key.timing ?? ''} not valid`,
    );
    await client.query(`alter table ${table} validate constraint ${name}`);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
