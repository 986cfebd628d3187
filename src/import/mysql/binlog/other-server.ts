import { BinlogPurgedError, ReplicaStateError } from '../../errors.ts';
import { qualifiedName } from '../../model/source-table.ts';
import type { FollowOptions } from '../../source/import-source.ts';
import type { ServerFlavour } from '../flavour.ts';
import type { MysqlSession } from '../session.ts';
import type { BinlogPosition } from './position.ts';

/**
 * Whether changes can be followed on another server than they were read from so far. Only whole places of the log can
 * be found again by their GTID; what is between two places cannot be told apart there.
 */
export function expectToGoOn(label: string, { start, tables, sink }: FollowOptions): void {
  const remedy = 'go on with the old server until it is, or copy anew with init-replica';
  if (start.gtid === null || start.gtid === '') {
    throw new ReplicaStateError(
      `${label} is another server than before, and no GTID is known to go on from; ${remedy}`,
    );
  }
  if (sink.isAheadOf(start.ordinal)) {
    throw new ReplicaStateError(
      `${label} is another server than before, and the target servers are not at the same place; ${remedy}`,
    );
  }
  for (const table of tables) {
    const { all, ranges } = table.copiedAt;
    if (all <= start.ordinal && ranges.every(({ ordinal }) => ordinal <= start.ordinal)) continue;
    throw new ReplicaStateError(
      `${label} is another server than before, and ${qualifiedName(table.source)} is not consistent with the others yet; ${remedy}`,
    );
  }
}

/** Makes sure that the place in the log is the one it was, and not one of a server restored or set up anew. */
export async function expectSameLog(
  session: MysqlSession,
  { mariadb }: ServerFlavour,
  label: string,
  { file, offset, gtid }: BinlogPosition,
): Promise<void> {
  if (!mariadb || gtid === null) return;
  const [row] = await session.query<{ gtid: string | null }>('select binlog_gtid_pos(?, ?) as gtid', [file, offset]);
  const found = row?.gtid ?? null;
  // A file that is not there any more is told by the server when it is asked for
  if (found === null || inOrder(found) === inOrder(gtid)) return;
  throw new BinlogPurgedError(
    `${label} has another binlog than the one that was read: ${file}:${offset} is at GTID ${found || '(none)'} and not at ${gtid}; ` +
      'copy again with init-replica, or, when it is another server of the same replication, set gtid_enable before it is switched',
  );
}

function inOrder(gtid: string): string {
  return gtid.split(',').sort().join();
}
