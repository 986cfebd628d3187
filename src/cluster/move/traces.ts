import { schemaName } from '../../core/index.ts';
import type { MapDocument } from '../map-document.ts';
import {
  type KnownSubscriptions,
  knownSubscriptions,
  SUBSCRIPTIONS,
  type SubscriptionsOf,
  straySlot,
} from '../stray-slots.ts';
import { ownerOf } from './flip.ts';
import type { MoveRow } from './journal.ts';
import { holds } from './map-change.ts';
import { linkNames } from './names.ts';
import type { Party } from './parties.ts';

/** What a move can leave: `trace` is its marker table or its fence in a shard that stays, `copy` a schema. */
export type TraceKind = 'subscription' | 'slot' | 'publication' | 'trace' | 'copy';

export interface Found {
  readonly kind: TraceKind;
  readonly name: string;
  readonly party: Party;
  /** Of a trace or a copy: removed only while nobody moves the shard. */
  readonly shardId?: number | undefined;
  /** Why it must stay. */
  readonly kept: string | undefined;
}

/** Whatever of moves is on the servers, needed or not, and what would tell whether it is. */
export interface Seen {
  readonly links: readonly (LinkRow & { readonly party: Party })[];
  readonly shards: readonly (ShardHere & { readonly party: Party })[];
  readonly known: KnownSubscriptions;
}

/** Reads what is on the servers. @param complete - whether these are all of them */
export async function lookForTraces(parties: readonly Party[], complete: boolean): Promise<Seen> {
  const links: (LinkRow & { party: Party })[] = [];
  const shards: (ShardHere & { party: Party })[] = [];
  for (const party of parties) {
    const { rows } = await party.client.query<LinkRow>(LINKS);
    links.push(...rows.map((row) => ({ ...row, party })));
    shards.push(...(await shardsOn(party)).map((shard) => ({ ...shard, party })));
  }
  // Behind the slots: a subscription is there before slots are named after it.
  const said: SubscriptionsOf[] = [];
  for (const { client } of parties) said.push(...(await client.query<SubscriptionsOf>(SUBSCRIPTIONS)).rows);
  return { links, shards, known: knownSubscriptions(said, complete) };
}

/** What was seen and belongs to no open move. */
export async function notNeeded(
  { links, shards, known }: Seen,
  parties: readonly Party[],
  open: readonly MoveRow[],
  map: MapDocument,
): Promise<Found[]> {
  const tokens = new Set(open.map(({ token }) => token));
  const needed = new Set(open.flatMap(({ token }) => Object.values(linkNames(token))));
  const moving = new Set(open.map(({ shardId }) => shardId));
  const found: Found[] = [];
  for (const { kind, name, active, party } of links) {
    const stray =
      kind === 'slot' ? straySlot({ name, active }, tokens, known) : needed.has(name) ? undefined : KEEP_NOT;
    if (stray !== undefined) found.push({ kind, name, party, ...stray });
  }
  for (const { schema, shardId, owned, traces, party } of shards) {
    if (moving.has(shardId)) continue;
    if (owned && traces) found.push({ kind: 'trace', name: schema, party, shardId, kept: undefined });
    if (owned) continue;
    const kept = await whyKept(party, shardId, parties, map);
    found.push({ kind: 'copy', name: schema, party, shardId, kept });
  }
  return found;
}

const KEEP_NOT = { kept: undefined };

interface LinkRow {
  readonly kind: TraceKind;
  readonly name: string;
  readonly active: boolean;
}

/** Links by their names, and every logical slot: which of those are ours is told by their names too. */
const LINKS = `
  select 'subscription' as kind, subname::text as name, subenabled as active
  from pg_subscription join pg_database on pg_database.oid = subdbid
  where datname = current_database() and subname ~ '^hv_(move|back)_'
  union all
  select 'slot', slot_name::text, active
  from pg_replication_slots
  where database = current_database()
  union all
  select 'publication', pubname::text, true
  from pg_publication
  where pubname ~ '^hv_(move|back)_'
  order by 1, 2`;

interface ShardHere {
  readonly schema: string;
  readonly shardId: number;
  readonly owned: boolean;
  readonly traces: boolean;
}

async function shardsOn({ client, name }: Party): Promise<ShardHere[]> {
  const installed = await client.query<{ there: boolean }>(
    `select to_regprocedure('hypervault.owners()') is not null as there`,
  );
  if (!installed.rows[0]!.there) return [];
  const { rows } = await client.query<{ prefix: string; shard: number; server: string | null; traces: boolean }>(
    `select
       settings.prefix,
       owners.shard,
       owners.server,
       exists (
         select from pg_class
         join pg_namespace on pg_namespace.oid = relnamespace
         left join pg_trigger on tgrelid = pg_class.oid and tgname = 'hv_fence'
         where nspname = settings.prefix || lpad(owners.shard::text, 4, '0')
           and (relname = 'hv_move' or tgname is not null)
       ) as traces
     from hypervault.owners() cross join hypervault.settings`,
  );
  return rows.map(({ prefix, shard, server, traces }) => ({
    schema: schemaName(prefix, shard),
    shardId: shard,
    owned: server === name,
    traces,
  }));
}

/** Two witnesses beside its own row: the map, and the server that the map names. */
async function whyKept(
  party: Party,
  shardId: number,
  parties: readonly Party[],
  map: MapDocument,
): Promise<string | undefined> {
  const owner = Object.keys(map.servers).find((server) => holds(map, server, shardId));
  if (owner === undefined) return 'the map does not know this shard; look with hypervault fsck';
  if (owner === party.name) return 'the map says that this is the shard; look with hypervault fsck';
  const other = parties.find(({ name }) => name === owner);
  if (other === undefined) return `${owner}, which has the shard by the map, could not be asked`;
  const { rows } = await other.client.query<{ prefix: string }>('select prefix from hypervault.settings');
  const there = await ownerOf(other, schemaName(rows[0]!.prefix, shardId));
  if (there?.server === owner) return undefined;
  return `${owner} has the shard by the map and does not own it; look with hypervault fsck`;
}
