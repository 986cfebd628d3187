import type { Client } from 'pg';
import { quoteIdentifier } from '../internal/quote.ts';
import { SQLSTATE, sqlStateOf } from '../internal/sqlstate.ts';

/** Whether the database of the session has the subscription: their names are the whole server's. */
export async function isSubscribed(client: Client, link: string): Promise<boolean> {
  const { rows } = await client.query(
    `select from pg_subscription join pg_database on pg_database.oid = subdbid
     where subname = $1 and datname = current_database()`,
    [link],
  );
  return rows.length > 0;
}

/** Another one at the same subscription is a "tuple concurrently updated" at most once for each statement. */
const TRIES = 5;

/** Drops a subscription without asking the other server, which may be away; the slots there are left to the caller. */
export async function unsubscribe(client: Client, link: string): Promise<void> {
  const name = quoteIdentifier(link);
  for (let tries = 1; await isSubscribed(client, link); tries += 1) {
    try {
      await client.query(`alter subscription ${name} disable`);
      await client.query(`alter subscription ${name} set (slot_name = none)`);
      await client.query(`drop subscription ${name}`);
    } catch (error) {
      const met = sqlStateOf(error) === SQLSTATE.internalError && tries < TRIES;
      if (!met && (await isSubscribed(client, link))) throw error;
    }
  }
}
