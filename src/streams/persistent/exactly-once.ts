import type { Cursor, Datastore } from '../../core/index.ts';
import { OutcomeUnknownError } from '../../errors.ts';
import { SV, sqlStateOf } from '../../internal/sqlstate.ts';
import { LeaseLostError } from '../errors.ts';
import type { RecordedEvent } from '../recorded-event.ts';
import type { Delivery } from './delivery.ts';

/**
 * Runs a handler and settles its event in one transaction on the event's shard: both are done, or neither. When the reply
 * to the commit is lost, the shard says which of the two it was; when neither, the transaction is run again.
 *
 * @returns what the handler returned, and up to where the slice is settled and written down, if that has moved
 * @throws LeaseLostError when the event went to somebody else meanwhile: nothing was done here
 */
export async function settleInTransaction<T>(
  datastore: Datastore,
  delivery: Delivery,
  fn: (cursor: Cursor) => Promise<T>,
): Promise<{ readonly value: T; readonly savedTo: bigint | undefined }> {
  const { owner, slice, position, event } = delivery;
  for (;;) {
    let result: { readonly value: T; readonly savedTo: bigint | undefined; readonly xid: string } | undefined;
    try {
      await datastore.transaction(owner.sql.shardId, async (cursor) => {
        const value = await fn(cursor);
        const settledTo = slice?.settledTo(false, delivery);
        const savedTo = settledTo !== undefined && settledTo >= position ? settledTo : undefined;
        const term = slice?.term ?? 0n;
        const place = slice?.slice ?? null;
        const { leaseMs } = owner.settings;
        const { text, values } = owner.sql.settleWithin(place, term, position, savedTo ?? null, leaseMs);
        const { rows } = await cursor.query<{ xid: string }>(text, values);
        result = { value, savedTo, xid: rows[0]!.xid };
      });
    } catch (error) {
      if (sqlStateOf(error) === SV.eventTaken) throw leaseLost(event, error);
      // One of a handler's own doing comes before its event is settled.
      if (!(error instanceof OutcomeUnknownError) || result === undefined) throw error;
      const outcome = await owner.sql.outcomeOf(result.xid, slice?.slice, position, {});
      if (outcome === 'open') continue;
      if (outcome === 'settledElsewhere') throw leaseLost(event, error);
    }
    return result!;
  }
}

export function leaseLost(event: RecordedEvent, cause?: unknown): LeaseLostError {
  return new LeaseLostError(
    `event ${event.eventNumber} of ${JSON.stringify(event.stream)} went to another consumer meanwhile; nothing was done here`,
    { stream: event.stream, cause },
  );
}
