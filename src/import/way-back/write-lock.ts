import type { Client } from 'pg';
import { sleep } from '../../internal/sleep.ts';
import { SQLSTATE, sqlStateOf } from '../../internal/sqlstate.ts';
import { qualify } from '../apply/table-sql.ts';
import { inTransaction } from '../catalogue/servers.ts';
import { ReplicaStateError } from '../errors.ts';

/** A table, by the schema it stands in. */
export interface PlacedName {
  readonly schema: string;
  readonly name: string;
}

const TRIGGER = 'hypervault_refuse_writes';
const TRIES = 5;

/**
 * Lets nobody write to tables any more, in one transaction; one that is partitioned with its partitions. Waits for
 * transactions that write to them, and tries again so that those queueing behind it are not held for long.
 */
export async function lockWrites(client: Client, tables: readonly PlacedName[]): Promise<void> {
  if (tables.length === 0) return;
  const names = tables.map(({ schema, name }) => qualify(schema, name));
  for (let attempt = 1; ; attempt++) {
    try {
      await inTransaction(client, async () => {
        await client.query(`set local lock_timeout = '3s'`);
        const { rows } = await client.query<{ place: string }>(
          `select distinct format('%I.%I', n.nspname, c.relname) as place
             from unnest($1::text[]) as wanted (name)
            cross join lateral (
              select wanted.name::regclass as oid
              union
              select t.relid from pg_partition_tree(wanted.name::regclass) t
            ) found
             join pg_class c on c.oid = found.oid
             join pg_namespace n on n.oid = c.relnamespace
            order by 1`,
          [names],
        );
        for (const { place } of rows) {
          await client.query(`drop trigger if exists ${TRIGGER} on ${place}`);
          await client.query(
            `create trigger ${TRIGGER}
               before insert or update or delete or truncate on ${place}
               for each statement execute function hypervault.import_refuse_writes()`,
          );
        }
      });
      return;
    } catch (error) {
      const state = sqlStateOf(error);
      if (state !== SQLSTATE.lockNotAvailable && state !== SQLSTATE.deadlockDetected) throw error;
      if (attempt === TRIES) {
        throw new ReplicaStateError(
          'the tables could not be locked against writing: transactions that write to them run on and on; end them and try again',
          { cause: error },
        );
      }
      await sleep(500 * attempt, { what: 'locking tables' });
    }
  }
}

/** Lets everybody write again, wherever such a lock is in these schemas. */
export async function unlockWrites(client: Client, schemas: readonly string[]): Promise<void> {
  const { rows } = await client.query<{ place: string }>(
    `select format('%I.%I', n.nspname, c.relname) as place
       from pg_trigger t
       join pg_class c on c.oid = t.tgrelid
       join pg_namespace n on n.oid = c.relnamespace
      where t.tgname = $1
        and n.nspname = any($2)
      order by 1`,
    [TRIGGER, schemas],
  );
  await inTransaction(client, async () => {
    for (const { place } of rows) await client.query(`drop trigger if exists ${TRIGGER} on ${place}`);
  });
}
