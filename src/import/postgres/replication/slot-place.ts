import type { Client } from 'pg';
import { BinlogPurgedError } from '../../errors.ts';
import type { Position } from '../../model/position.ts';
import { parseLsn } from '../lsn.ts';

/** Where the server's log ends on its disk. */
export async function flushedPlace(client: Client): Promise<bigint> {
  const { rows } = await client.query<{ lsn: string }>('select pg_current_wal_flush_lsn()::text as lsn');
  return parseLsn(rows[0]!.lsn);
}

/** The server would skip in silence what a slot has let go. */
export async function refuseGap(client: Client, slot: string, start: Position, label: string): Promise<void> {
  const { rows } = await client.query<{ confirmed: string | null }>(
    'select confirmed_flush_lsn::text as confirmed from pg_replication_slots where slot_name = $1',
    [slot],
  );
  const confirmed = rows[0]?.confirmed ?? null;
  if (confirmed !== null && parseLsn(confirmed) <= start.ordinal) return;
  throw new BinlogPurgedError(
    confirmed === null
      ? `${label}: the replication slot ${slot} is gone, and with it the changes since ${start.text}: run init-replica again`
      : `${label}: the replication slot ${slot} is at ${confirmed}, behind ${start.text}, where reading would begin: run init-replica again`,
  );
}
