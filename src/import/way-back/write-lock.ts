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
const BUSY = new Set<string>([SQLSTATE.lockNotAvailable, SQLSTATE.deadlockDetected, SQLSTATE.queryCanceled]);
/**
 * How long an attempt may hold writers back while it waits for others of them. Below a second, after which Postgres looks
 * for deadlocks (`deadlock_timeout`): of a deadlock between the application and us it is always we who begin again.
 */
const ATTEMPT_MS = 800;
const TRY_FOR_MS = 30_000;
/** Statements sent at once. */
const CHUNK = 100;

/**
 * Lets nobody write to tables any more, in one transaction; one that is partitioned with its partitions. Waits for
 * transactions that write to them, and tries again so that those queueing behind it are not held for long.
 */
export async function lockWrites(client: Client, tables: readonly PlacedName[]): Promise<void> {
  if (tables.length === 0) return;
  const names = tables.map(({ schema, name }) => qualify(schema, name));
  const deadline = Date.now() + TRY_FOR_MS;
  for (let attempt = 1; ; attempt++) {
    try {
      await inTransaction(client, () => refuseWrites(client, names));
      return;
    } catch (error) {
      if (!BUSY.has(sqlStateOf(error) ?? '')) throw error;
      if (Date.now() >= deadline) {
        throw new ReplicaStateError(
          'the tables could not be locked against writing: transactions that write to them run on and on; end them and try again',
          { cause: error },
        );
      }
      await sleep(Math.min(100 * attempt, 1_000), { what: 'locking tables' });
    }
  }
}

async function refuseWrites(client: Client, names: readonly string[]): Promise<void> {
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
  const places = rows.map(({ place }) => place);
  // All of them first, and no stronger than making a trigger asks for: readers go on
  await client.query(`set local statement_timeout = ${ATTEMPT_MS}`);
  await client.query(`lock table ${places.join(', ')} in share row exclusive mode`);
  await client.query('set local statement_timeout = 0');
  const { rows: open } = await client.query<{ place: string }>(
    `select wanted.place
       from unnest($1::text[]) as wanted (place)
      where not exists (select from pg_trigger t where t.tgrelid = wanted.place::regclass and t.tgname = $2)`,
    [places, TRIGGER],
  );
  for (let from = 0; from < open.length; from += CHUNK) {
    const statements = open.slice(from, from + CHUNK).map(
      ({ place }) =>
        `create trigger ${TRIGGER}
           before insert or update or delete or truncate on ${place}
           for each statement execute function hypervault.import_refuse_writes()`,
    );
    await client.query(statements.join(';\n'));
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
    for (let from = 0; from < rows.length; from += CHUNK) {
      const some = rows.slice(from, from + CHUNK);
      await client.query(some.map(({ place }) => `drop trigger if exists ${TRIGGER} on ${place}`).join(';\n'));
    }
  });
}
