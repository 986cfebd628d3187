import type { Client } from 'pg';
import { quoteLiteral } from '../../internal/quote.ts';
import { sleep } from '../../internal/sleep.ts';
import type { Moving } from './moving.ts';
import type { Party } from './parties.ts';
import type { MoveStep } from './steps.ts';

const LOOK_EVERY_MS = 500;
/** So often it is said again what is waited for, and for how long by now. */
const TELL_EVERY_MS = 10_000;

/** Says, while a session makes a replication slot, what it waits for: seen over a further session. */
export class SlotWatch {
  /** What was waited for at the last look. */
  blocker: string | undefined;
  readonly #over = new AbortController();
  #watching: Promise<void> = Promise.resolve();

  private constructor() {}

  /** @param session - the one that makes the slot */
  static async start(moving: Moving, party: Party, step: MoveStep, session: Client): Promise<SlotWatch> {
    const { rows } = await session.query<{ pid: number }>('select pg_backend_pid() as pid');
    const watch = new SlotWatch();
    // Who can't look says less, that is all.
    watch.#watching = watch.#look(moving, party, step, rows[0]!.pid).catch(() => {});
    return watch;
  }

  async stop(): Promise<void> {
    this.#over.abort();
    await this.#watching;
  }

  async #look(moving: Moving, party: Party, step: MoveStep, pid: number): Promise<void> {
    const began = performance.now();
    const pause = (): Promise<void> => sleep(LOOK_EVERY_MS, { signal: this.#over.signal });
    await pause();
    await party.within(party.connection, async (client) => {
      let told: { readonly blocker: string; readonly at: number } | undefined;
      for (; ; await pause()) {
        const blocker = await blockerOf(client, pid);
        if (blocker === undefined) continue;
        this.blocker = blocker;
        await moving.journal.beat(moving.row.id);
        const now = performance.now();
        if (told?.blocker === blocker && now - told.at < TELL_EVERY_MS) continue;
        told = { blocker, at: now };
        const since = `for ${Math.round((now - began) / 1_000)} s`;
        moving.report(step, { note: `${party.name} makes no replication slot yet: it waits ${since} for ${blocker}` });
      }
    });
  }
}

/** The transaction that a session waits for, in words that say how to end it. What others run is seen by few roles. */
const BLOCKER = `
  select waits.transactionid::text as xid,
    prepared.gid,
    coalesce(prepared.database, activity.datname)::text as database,
    coalesce(prepared.owner, activity.usename)::text as role,
    holder.pid,
    activity.state,
    to_char(coalesce(prepared.prepared, activity.xact_start) at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since
  from pg_locks as waits
  left join pg_prepared_xacts as prepared on prepared.transaction = waits.transactionid
  left join pg_locks as holder
    on holder.locktype = 'transactionid' and holder.transactionid = waits.transactionid and holder.granted
  left join pg_stat_activity as activity on activity.pid = holder.pid
  where waits.pid = $1 and not waits.granted and waits.locktype = 'transactionid'`;

interface BlockerRow {
  readonly xid: string;
  readonly gid: string | null;
  readonly database: string | null;
  readonly role: string | null;
  readonly pid: number | null;
  readonly state: string | null;
  readonly since: string | null;
}

async function blockerOf(client: Client, pid: number): Promise<string | undefined> {
  const { rows } = await client.query<BlockerRow>(BLOCKER, [pid]);
  const [row] = rows;
  if (row === undefined) return undefined;
  const { xid, gid, database, role, since, state } = row;
  const where = database === null ? '' : ` in database ${database}`;
  if (gid !== null) {
    return `the prepared transaction ${quoteLiteral(gid)}${where}, by ${role}, since ${since}; end it there with commit prepared or rollback prepared`;
  }
  if (row.pid === null) return `transaction ${xid}`;
  const by = role === null ? '' : ` by ${role}${where}, open since ${since}${state === null ? '' : ` (${state})`}`;
  return `the transaction of session ${row.pid}${by}`;
}
