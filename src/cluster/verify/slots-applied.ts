import type { ConnectionSettings } from '../../core/index.ts';
import { TimeoutError } from '../../errors.ts';
import { Backoff } from '../../internal/backoff.ts';
import { sleep } from '../../internal/sleep.ts';
import { onServer } from '../owners.ts';
import type { LagPassed } from './settle-rows.ts';

/** A message of no content: its place in the log lies behind all that was committed, and its commit behind it. */
const MARK = `select pg_logical_emit_message(true, 'hypervault', '')::text as lsn`;

// What is applied can be seen on the target; what is confirmed is on its disk too, up to half a second later.
const BEHIND = `
select slot.slot_name as slot
from pg_replication_slots as slot
left join pg_stat_replication as sender on sender.pid = slot.active_pid
where slot.slot_type = 'logical'
  and slot.database = current_database()
  and (case when $2::text[] is null then slot.active else slot.slot_name = any ($2) end)
  and greatest(slot.confirmed_flush_lsn, sender.replay_lsn) < $1::pg_lsn`;

/**
 * A condition for `verifyShard`: the logical replication slots of the source have applied what it had written at the
 * time of the call.
 *
 * @param slots - their names. By default those of this database that somebody reads at this moment
 * @throws TimeoutError from the condition after `timeoutMs` (default 30000)
 */
export function slotsApplied(
  source: ConnectionSettings,
  { slots, timeoutMs = 30_000 }: { slots?: readonly string[] | undefined; timeoutMs?: number | undefined } = {},
): LagPassed {
  return ({ signal }) =>
    onServer(
      source,
      async (client) => {
        const deadline = performance.now() + timeoutMs;
        const backoff = new Backoff({ baseMs: 5, maxMs: 250 });
        // What waits for nobody's flush would reach the log only when the log writer comes by.
        await client.query('set synchronous_commit = local');
        const written = await client.query<{ lsn: string }>(MARK);
        for (;;) {
          const { rows } = await client.query<{ slot: string }>(BEHIND, [written.rows[0]!.lsn, slots ?? null]);
          if (rows.length === 0) return;
          if (performance.now() > deadline) {
            const names = rows.map(({ slot }) => slot).join(', ');
            throw new TimeoutError(`the target is still behind after ${timeoutMs} ms: slot ${names}`);
          }
          await sleep(backoff.next(), { signal, what: 'verify' });
        }
      },
      signal,
    );
}

/** The slots that the subscriptions of a target read from: what {@link slotsApplied} must wait for, and no others. */
export function slotsReadBy(target: ConnectionSettings, signal?: AbortSignal): Promise<string[]> {
  return onServer(
    target,
    async (client) => {
      const { rows } = await client.query<{ slot: string }>(
        `select subscription.subslotname as slot
         from pg_subscription as subscription
         join pg_database as database on database.oid = subscription.subdbid
         where database.datname = current_database()
           and subscription.subenabled
           and subscription.subslotname is not null
         order by subscription.subslotname`,
      );
      return rows.map(({ slot }) => slot);
    },
    signal,
  );
}
