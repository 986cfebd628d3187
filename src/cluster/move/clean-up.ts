import type { Client } from 'pg';
import { Backoff } from '../../internal/backoff.ts';
import { quoteIdentifier } from '../../internal/quote.ts';
import { sleep } from '../../internal/sleep.ts';
import { SQLSTATE, sqlStateOf } from '../../internal/sqlstate.ts';
import type { Moving } from './moving.ts';
import { MARKER_TABLE } from './names.ts';
import type { Party } from './parties.ts';
import { dropCopy } from './skeleton.ts';
import { dropBack, dropForward } from './way-back.ts';

const TRIES = 100;

/** The move is confirmed: links go, the old copy goes, and nothing of the move is left on the new server. */
export async function cleanUpAfterMove(moving: Moving): Promise<void> {
  await dropForward(moving);
  await dropBack(moving);
  await removeTraces(moving.target, moving.schema, moving.signal);
  await dropCopy(moving.source.client, moving.schema, moving.source.name);
}

/** The move is undone, before the flip or after the way back: the source has the shard, the copy on the target goes. */
export async function cleanUpOnSource(moving: Moving): Promise<void> {
  await dropForward(moving);
  await dropBack(moving);
  await removeTraces(moving.source, moving.schema, moving.signal);
  await dropCopy(moving.target.client, moving.schema, moving.target.name);
}

/** Fence and marker go from the shard that stays. Tables are locked for a moment, so it is tried with short waits. */
export async function removeTraces({ client }: Party, schema: string, signal: AbortSignal | undefined): Promise<void> {
  const backoff = new Backoff({ baseMs: 50, maxMs: 1_000 });
  for (;;) {
    try {
      await inShortTransaction(client, async () => {
        await client.query('select hypervault.move_unfence($1, true)', [schema]);
        await client.query(`drop table if exists ${quoteIdentifier(schema)}.${MARKER_TABLE}`);
      });
      return;
    } catch (error) {
      if (sqlStateOf(error) !== SQLSTATE.lockNotAvailable || backoff.failures >= TRIES) throw error;
      await sleep(backoff.next(), { signal, what: 'cleaning up after a move' });
    }
  }
}

async function inShortTransaction(client: Client, work: () => Promise<void>): Promise<void> {
  await client.query(`begin; set local lock_timeout to '100ms'`);
  try {
    await work();
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}
