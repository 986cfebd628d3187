import type { Position } from '../model/position.ts';
import { type BinlogPosition, toPosition } from './binlog/position.ts';
import type { ServerFlavour } from './flavour.ts';
import type { MysqlSession } from './session.ts';

/** Where the source's binlog ends now. */
export async function currentPosition(
  session: MysqlSession,
  flavour: ServerFlavour,
  lineage: bigint,
): Promise<Position> {
  const [row] = await session.query<{ File: string; Position: string; Executed_Gtid_Set?: string }>(
    flavour.statusStatement,
  );
  if (row === undefined) throw new Error('the source writes no binlog');
  return toPosition(
    await withGtid(session, flavour, {
      file: row.File,
      offset: Number(row.Position),
      gtid: row.Executed_Gtid_Set ?? null,
    }),
    lineage,
  );
}

/** Adds the GTID that stands for the same place. */
export async function withGtid(
  session: MysqlSession,
  flavour: ServerFlavour,
  { file, offset, gtid }: BinlogPosition,
): Promise<BinlogPosition> {
  if (!flavour.mariadb) {
    const text = gtid?.replace(/\s/g, '') ?? '';
    return { file, offset, gtid: text === '' ? null : text };
  }
  const [row] = await session.query<{ gtid: string | null }>('select binlog_gtid_pos(?, ?) as gtid', [file, offset]);
  return { file, offset, gtid: row?.gtid ?? null };
}

/** MariaDB tells the place of the binlog that a consistent snapshot shows, without a lock. */
export async function snapshotPosition(
  session: MysqlSession,
  flavour: ServerFlavour,
  lineage: bigint,
): Promise<Position | null> {
  if (!flavour.mariadb) return null;
  const rows = await session.query<{ Variable_name: string; Value: string }>(
    "show status like 'binlog\\_snapshot\\_%'",
  );
  const value = (name: string): string | undefined =>
    rows.find((row) => row.Variable_name.toLowerCase() === name)?.Value;
  const file = value('binlog_snapshot_file');
  const offset = Number(value('binlog_snapshot_position') ?? 0);
  if (file === undefined || file === '' || offset === 0) return null;
  return toPosition(await withGtid(session, flavour, { file, offset, gtid: null }), lineage);
}
