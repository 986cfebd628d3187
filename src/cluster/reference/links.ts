import { createHash } from 'node:crypto';
import type { Client } from 'pg';
import { quoteIdentifier, quoteLiteral } from '../../internal/quote.ts';

/** The publication of the home. */
export function publicationName(schema: string): string {
  return `hv_ref_${schema}`;
}

/** Subscription and slot of one copy. A slot's name must be free on the whole cluster, of which others may have a part. */
export async function linkName(home: Client, schema: string, server: string): Promise<string> {
  const { rows } = await home.query<{ database: string }>('select current_database() as database');
  const hash = createHash('md5').update(`${rows[0]!.database}\n${server}`).digest('hex').slice(0, 10);
  return `hv_ref_${schema}_${hash}`;
}

/** Publishes exactly these tables. */
export async function publishTables(home: Client, schema: string, tables: readonly string[]): Promise<void> {
  const name = publicationName(schema);
  const list = tables.map((table) => `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`).join(', ');
  const { rows } = await home.query('select from pg_publication where pubname = $1', [name]);
  const how = rows.length === 0 ? 'create publication' : 'alter publication';
  const set = rows.length === 0 ? 'for table' : 'set table';
  await home.query(`${how} ${quoteIdentifier(name)} ${set} ${list}`);
}

export async function slotExists(home: Client, link: string): Promise<boolean> {
  return (await home.query('select from pg_replication_slots where slot_name = $1', [link])).rows.length > 0;
}

/** Subscribes a copy; the slot is made apart, since that made by the subscription would wait for itself within a cluster. */
export async function subscribe(
  home: Client,
  copy: Client,
  schema: string,
  link: string,
  conninfo: string,
): Promise<void> {
  if (!(await slotExists(home, link))) {
    await home.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [link]);
  }
  await copy.query(
    `create subscription ${quoteIdentifier(link)} connection ${quoteLiteral(conninfo)}
     publication ${quoteIdentifier(publicationName(schema))}
     with (create_slot = false, slot_name = ${quoteLiteral(link)}, copy_data = true)`,
  );
}

/** Drops the slot of a copy; a sender that has not noticed its end is ended. */
export async function dropSlot(home: Client, link: string): Promise<void> {
  for (let tries = 0; await slotExists(home, link); tries += 1) {
    await home.query(
      `select case when active_pid is null then pg_drop_replication_slot(slot_name)::text
                   when $2 then pg_terminate_backend(active_pid)::text end
       from pg_replication_slots where slot_name = $1`,
      [link, tries % 20 === 19],
    );
    await home.query('select pg_sleep(0.05)');
  }
}

/** Tables of a subscription with the state of their copy: `r` is ready. */
export async function copyStates(copy: Client, link: string): Promise<{ table: string; state: string }[]> {
  const { rows } = await copy.query<{ table: string; state: string }>(
    `select class.relname as "table", relation.srsubstate as state
     from pg_subscription_rel as relation
     join pg_subscription as subscription on subscription.oid = relation.srsubid
     join pg_class as class on class.oid = relation.srrelid
     where subscription.subname = $1
     order by class.relname`,
    [link],
  );
  return rows;
}
