import type { Client } from 'pg';
import { endClient } from '../../internal/client-guard.ts';
import { SQLSTATE, sqlStateOf } from '../../internal/sqlstate.ts';
import { MoveStalledError } from './errors.ts';
import { dropSlots } from './links.ts';
import type { Moving } from './moving.ts';
import type { Party } from './parties.ts';
import { furtherSession } from './shard-lock.ts';
import { SlotWatch } from './slot-watch.ts';
import type { MoveStep } from './steps.ts';

/**
 * Keeps a server's log from here on. Postgres makes no slot before every transaction of the whole server has ended that
 * has written and was open then, prepared ones too: it is said what is waited for, and given up after `slotWithinMs`.
 *
 * @throws MoveStalledError naming what was waited for; no slot is left behind then
 */
export async function makeSlot(moving: Moving, party: Party, link: string, step: MoveStep): Promise<void> {
  const { client } = party;
  const { slotWithinMs } = moving.options;
  const { rows } = await client.query<{ ready: boolean }>(
    'select confirmed_flush_lsn is not null as ready from pg_replication_slots where slot_name = $1',
    [link],
  );
  if (rows[0]?.ready) return;
  // A mover that died has left its session waiting.
  if (rows.length > 0) await dropSlots(client, link, undefined, moving.signal);
  // A session of its own: one that waits does not hear that its program has died, and the other one holds the locks of the move.
  const session = await furtherSession(party, moving.shardId);
  const watch = await SlotWatch.start(moving, party, step, session);
  try {
    await boundWaiting(session, slotWithinMs);
    await session.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [link]);
  } catch (error) {
    if (sqlStateOf(error) !== SQLSTATE.queryCanceled) throw error;
    throw new MoveStalledError(
      moving.shardId,
      `${party.name} made no replication slot within ${slotWithinMs} ms (option slotWithinMs): it waits for ${watch.blocker ?? 'transactions that are open there'}`,
      { cause: error },
    );
  } finally {
    await watch.stop();
    await endClient(session);
  }
}

/** By the server itself, which knows it also when this program is gone. */
async function boundWaiting(session: Client, withinMs: number): Promise<void> {
  await session.query(`set statement_timeout to ${Math.ceil(withinMs)}`);
}
