import { quoteIdentifier } from '../../internal/quote.ts';
import { withShortLocks } from '../short-locks.ts';
import { disarm } from './arm.ts';
import type { Moving } from './moving.ts';
import { MARKER_TABLE } from './names.ts';
import type { Party } from './parties.ts';
import { dropCopy } from './skeleton.ts';
import { dropBack, dropForward } from './way-back.ts';

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

/** Gate and marker go from the shard that stays. Each table is locked for a moment, so it is tried with short waits. */
export async function removeTraces(party: Party, schema: string, signal: AbortSignal | undefined): Promise<void> {
  await disarm(party, schema, { insist: true, signal });
  const { client } = party;
  await withShortLocks(client, () => client.query(`drop table if exists ${quoteIdentifier(schema)}.${MARKER_TABLE}`), {
    what: 'cleaning up after a move',
    signal,
  });
}
