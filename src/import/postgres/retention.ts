import type { Client } from 'pg';
import type { LogRetention } from '../source/import-source.ts';

/** How often the source is asked how much it keeps. */
const EVERY_MS = 30_000;
const MUCH = 1024n ** 3n;

/** How much of its log a source keeps for a slot; `null` when there is no such slot. */
export async function readRetention(client: Client, slot: string): Promise<LogRetention | null> {
  const { rows } = await client.query<{ bytes: string; state: string | null }>(
    `select coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint::text as bytes, wal_status as state
       from pg_replication_slots
      where slot_name = $1`,
    [slot],
  );
  const [row] = rows;
  return row === undefined ? null : { bytes: BigInt(row.bytes), state: row.state ?? 'lost' };
}

/** Warns when a source keeps much of its log for us, each time it has doubled, and when it is about to give up. */
export class RetentionWatch {
  readonly #warn: (message: string) => void;
  #lookedAt = 0;
  #bound = MUCH;
  #state = 'reserved';

  constructor(warn: (message: string) => void) {
    this.#warn = warn;
  }

  get isDue(): boolean {
    return Date.now() - this.#lookedAt >= EVERY_MS;
  }

  look(kept: LogRetention | null): void {
    this.#lookedAt = Date.now();
    if (kept === null) return;
    const { bytes, state } = kept;
    const size = `${(Number(bytes) / 1024 ** 3).toFixed(1)} GiB`;
    if (bytes >= this.#bound) {
      this.#bound = bytes * 2n;
      this.#warn(`the source keeps ${size} of its log, since the replica is so far behind`);
    } else if (bytes < MUCH) this.#bound = MUCH;
    if (state !== this.#state && (state === 'unreserved' || state === 'lost')) {
      this.#warn(
        state === 'lost'
          ? 'the source has thrown away log that was not read yet: run init-replica again'
          : `the source is about to throw away log that is not read yet (${size}): raise max_slot_wal_keep_size`,
      );
    }
    this.#state = state;
  }
}
