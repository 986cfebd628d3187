import type { Client } from 'pg';
import { quoteIdentifier, quoteLiteral } from '../../internal/quote.ts';
import { throwIfAborted } from '../../internal/sleep.ts';
import { SQLSTATE, sqlStateOf } from '../../internal/sqlstate.ts';
import { isSubscribed } from '../subscription.ts';
import { conninfoOf } from './conninfo.ts';
import type { SubscriptionIdentity } from './journal.ts';
import { MARKER_TABLE } from './names.ts';
import type { Party } from './parties.ts';

/** From here on a subscription can leave out what came by replication itself. */
export const ORIGIN_VERSION = 160_000;

/**
 * Makes the table that carries the marker, and keeps where the sequences were when the shard was shut. Its rows are made at
 * the source and come with the copy.
 */
export async function makeMarkerTable({ client }: Party, schema: string, withRows: boolean): Promise<void> {
  const table = `${quoteIdentifier(schema)}.${MARKER_TABLE}`;
  const { rows } = await client.query<{ owner: string }>(
    'select nspowner::regrole::text as owner from pg_namespace where nspname = $1',
    [schema],
  );
  await client.query(
    `create table if not exists ${table} (what text primary key, marker bigint, sequences jsonb);
     alter table ${table} owner to ${rows[0]!.owner}`,
  );
  if (withRows) {
    await client.query(
      `insert into ${table} (what, marker) values ('marker', 0), ('sequences', null) on conflict do nothing`,
    );
  }
}

/** Publishes an explicit list of tables: one made later would stall the subscriber's worker. */
export async function publish(client: Client, link: string, schema: string, tables: readonly string[]): Promise<void> {
  const { rows } = await client.query('select from pg_publication where pubname = $1', [link]);
  if (rows.length > 0) return;
  const list = [...tables, MARKER_TABLE].map((table) => `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`);
  await client.query(`create publication ${quoteIdentifier(link)} for table ${list.join(', ')}`);
}

/**
 * Subscribes `to` to the publication and the slot of the same name at `from`, disabled; {@link enableSubscription} lets
 * it run when the journal knows of it.
 *
 * @param copy - rows that are there are copied first; without it only what is new comes, and nothing that came from here
 */
export async function subscribe(to: Party, from: Party, link: string, { copy }: { copy: boolean }): Promise<void> {
  if (await isSubscribed(to.client, link)) return;
  const origin = !copy && to.version >= ORIGIN_VERSION ? ', origin = none' : '';
  await to.client.query(
    `create subscription ${quoteIdentifier(link)} connection ${quoteLiteral(await conninfoOf(from.reachedBy))}
     publication ${quoteIdentifier(link)}
     with (create_slot = false, slot_name = ${quoteLiteral(link)}, enabled = false, copy_data = ${copy}, streaming = off${origin})`,
  );
}

export async function enableSubscription({ client }: Party, link: string): Promise<void> {
  await client.query(`alter subscription ${quoteIdentifier(link)} enable`);
}

/** What the slots of tables under copy carry in their names; `undefined` when the subscription is gone. */
export async function subscriptionIdentity(client: Client, link: string): Promise<SubscriptionIdentity | undefined> {
  const { rows } = await client.query<{ number: string; system: string }>(
    `select pg_subscription.oid::text as number, system_identifier::text as system
     from pg_subscription
     join pg_database on pg_database.oid = subdbid
     cross join pg_control_system()
     where subname = $1 and datname = current_database()`,
    [link],
  );
  return rows[0];
}

/**
 * Drops a link's slot, and those of tables that were being copied when it died. One that is still read, by a sender that
 * has not noticed, is waited for.
 */
export async function dropSlots(
  client: Client,
  link: string,
  subscription: SubscriptionIdentity | undefined,
  signal?: AbortSignal | undefined,
): Promise<void> {
  const like = subscription === undefined ? '' : `pg\\_${subscription.number}\\_sync\\_%\\_${subscription.system}`;
  for (let tries = 0; ; tries += 1) {
    throwIfAborted(signal, 'dropping replication slots');
    const { rows } = await client.query<{ slot_name: string; active_pid: number | null }>(
      `select slot_name, active_pid from pg_replication_slots
       where database = current_database() and (slot_name = $1 or slot_name like $2)`,
      [link, like],
    );
    if (rows.length === 0) return;
    for (const { slot_name, active_pid } of rows) {
      if (active_pid === null) await dropSlot(client, slot_name);
      else if (tries % 20 === 19) await client.query('select pg_terminate_backend($1)', [active_pid]);
    }
    await client.query('select pg_sleep(0.05)');
  }
}

/** One that somebody else has dropped, or reads, meanwhile is looked at again. */
async function dropSlot(client: Client, name: string): Promise<void> {
  try {
    await client.query('select pg_drop_replication_slot($1)', [name]);
  } catch (error) {
    const state = sqlStateOf(error);
    if (state !== SQLSTATE.undefinedObject && state !== SQLSTATE.objectInUse) throw error;
  }
}

export async function unpublish(client: Client, link: string): Promise<void> {
  await client.query(`drop publication if exists ${quoteIdentifier(link)}`);
}
