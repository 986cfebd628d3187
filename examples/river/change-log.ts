import type { Datastore } from 'pg-hypervault';

/** The channel that says "there are changes"; what has changed is in the table. */
export const CHANNEL = 'river';

/**
 * Beside the entities of a shard: a row for each change, written by a trigger in the transaction that made it, so it is
 * there exactly when the change is. One notification per statement: NOTIFY takes a lock that is database-wide.
 */
const CHANGE_LOG = `
  create table if not exists river_changes (
    number bigint generated always as identity primary key,
    id bigint not null
  );

  create or replace function river_note() returns trigger
  language plpgsql
  as $$
  begin
    execute format('insert into %I.river_changes (id) select distinct id from changed', tg_table_schema);
    perform pg_notify('${CHANNEL}', tg_table_schema);
    return null;
  end
  $$;

  create or replace trigger river_insert after insert on entities
    referencing new table as changed for each statement execute function river_note();
  create or replace trigger river_update after update on entities
    referencing new table as changed for each statement execute function river_note();
  create or replace trigger river_delete after delete on entities
    referencing old table as changed for each statement execute function river_note();`;

/** Adds the change log to shards; again without harm. */
export async function addChangeLog(db: Datastore, shards: Iterable<number>): Promise<void> {
  for (const shard of shards) {
    await db.withCursor(shard, async (cursor) => {
      await cursor.query(CHANGE_LOG);
    });
  }
}
