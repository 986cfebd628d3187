import type { Client } from 'pg';
import { Backoff } from '../../internal/backoff.ts';
import { quoteIdentifier } from '../../internal/quote.ts';
import { sleep } from '../../internal/sleep.ts';
import { wasInTheWay, withShortLocks } from '../short-locks.ts';
import { waitForLongWriters } from './gate.ts';
import type { Moving, Passage } from './moving.ts';
import type { Party } from './parties.ts';

/** How long VACUUM is waited for; writers go on meanwhile. An autovacuum gives way after deadlock_timeout (1 s). */
const VACUUM_MS = 5_000;
/** Longest wait for the writers of one table; new ones stand behind it. */
const WRITERS_MS = 50;
/** After the flip the gate lets everybody through: what can't be had at once is taken away at the end of the move. */
const TRIES_WITH_A_WAY_BACK = 3;

/** Puts the gate before each table of the shard, one by one: it lets writers through until the pause shuts it. */
export async function arm(moving: Moving, passage: Passage, session: Client, deadline: number): Promise<void> {
  const { schema, shardId, objects, signal } = moving;
  const backoff = new Backoff({ baseMs: 50, maxMs: 1_000 });
  for (const table of objects.tables ?? []) {
    for (;;) {
      try {
        await session.query('select hypervault.move_arm($1, $2, $3, $4, $5, $6)', [
          schema,
          table,
          shardId,
          passage.from.name,
          VACUUM_MS,
          WRITERS_MS,
        ]);
        backoff.reset();
        break;
      } catch (error) {
        if (!wasInTheWay(error) || performance.now() > deadline) throw error;
        await sleep(backoff.next(), { signal, what: 'the gate of a move' });
        await waitForLongWriters(moving, passage, deadline);
      }
    }
  }
}

/**
 * Takes the gate away from a shard that stays, table by table.
 *
 * @param options.insist - `false` leaves it before tables that are in use: it lets everybody through there
 */
export async function disarm(
  { client }: Party,
  schema: string,
  { insist, signal }: { insist: boolean; signal: AbortSignal | undefined },
): Promise<void> {
  const { rows } = await client.query<{ table: string }>(
    `select relname as "table" from pg_trigger
     join pg_class on pg_class.oid = tgrelid
     join pg_namespace on pg_namespace.oid = relnamespace
     where tgname = 'hv_fence' and nspname = $1`,
    [schema],
  );
  const tries = insist ? undefined : TRIES_WITH_A_WAY_BACK;
  for (const { table } of rows) {
    const drop = `drop trigger if exists hv_fence on ${quoteIdentifier(schema)}.${quoteIdentifier(table)}`;
    try {
      await withShortLocks(client, () => client.query(drop), { tries, what: 'taking the gate of a move away', signal });
    } catch (error) {
      if (insist || !wasInTheWay(error)) throw error;
    }
  }
}
