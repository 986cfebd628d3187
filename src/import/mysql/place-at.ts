import { ReplicaStateError } from '../errors.ts';
import type { Position } from '../model/position.ts';
import { toPosition } from './binlog/position.ts';
import type { ServerFlavour } from './flavour.ts';
import type { MysqlSession } from './session.ts';
import { currentPosition, withGtid } from './status.ts';

/** Events that stand between transactions, or begin one. */
const BOUNDARIES =
  /^(Gtid|Anonymous_Gtid|Gtid_tagged_log_event|Gtid_list|Previous_gtids|Binlog_checkpoint|Rotate|Stop|Format_desc|Start_encryption)$/i;

/** See {@link ImportSource.placeAt}. */
export async function placeAt(
  session: MysqlSession,
  flavour: ServerFlavour,
  lineage: bigint,
  file: string,
  offset: number,
): Promise<{ position: Position; utc: boolean }> {
  const end = await currentPosition(session, flavour, lineage);
  const whole = end.text === `${file}:${offset}` ? offset : await boundaryAt(session, file, offset);
  const position = toPosition(await withGtid(session, flavour, { file, offset: whole, gtid: null }), lineage);
  const [row] = await session.query<{ utc: number }>(
    `select convert_tz('2000-07-01 00:00:00', @@global.time_zone, '+00:00') <=> timestamp'2000-07-01 00:00:00'
        and convert_tz('2000-01-01 00:00:00', @@global.time_zone, '+00:00') <=> timestamp'2000-01-01 00:00:00' as utc`,
  );
  return { position, utc: Number(row?.utc ?? 0) === 1 };
}

/**
 * Read from the middle of a transaction on, rows whose table was named before would be skipped in silence. A place behind
 * the last row and before the commit, which is where pg_chameleon stops, is moved behind the commit.
 */
async function boundaryAt(session: MysqlSession, file: string, offset: number): Promise<number> {
  let event: { Event_type: string; End_log_pos: number | string } | undefined;
  try {
    [event] = await session.query('show binlog events in ? from ? limit 1', [file, offset]);
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new ReplicaStateError(`the source's log cannot be read from ${file}:${offset} on: ${reason}`, { cause });
  }
  if (event?.Event_type === 'Xid') return Number(event.End_log_pos);
  if (event !== undefined && BOUNDARIES.test(event.Event_type)) return offset;
  throw new ReplicaStateError(
    `no transaction of the source's log begins at ${file}:${offset} (${event?.Event_type ?? 'there is nothing'}); let pg_chameleon read on to the end of a quiet source, and stop it`,
  );
}
