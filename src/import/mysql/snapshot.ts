import type { Position } from '../model/position.ts';
import type { MappedTable } from '../model/target-table.ts';
import type { Snapshot, SnapshotReader } from '../source/snapshot.ts';
import { qualifyMysql } from './copy-line.ts';
import type { SourceServer } from './flavour.ts';
import { MysqlSession, type MysqlSettings } from './session.ts';
import { currentPosition, snapshotPosition } from './status.ts';
import { TableReader } from './table-reader.ts';

const BEGIN = 'start transaction with consistent snapshot, read only';
const BEGIN_MARIADB = 'start transaction with consistent snapshot';

/** How often sessions are lined up by luck before a lock is taken. */
const TRIES_WITHOUT_LOCK = 3;

/**
 * Opens sessions that all see the source at one place of its log.
 *
 * 1. Without any lock: the sessions begin at the same time; when the log did not move meanwhile (or, in MariaDB, when
 *    all report the same place), they are in line.
 * 2. Else under `flush tables with read lock`, held for as long as it takes to begin – milliseconds, but it waits for
 *    statements that run, so `lock_wait_timeout` bounds it.
 * 3. Without the right for that (RDS), one session only; it needs no lining up.
 */
export async function openSnapshot(
  settings: MysqlSettings,
  server: SourceServer,
  { workers, lockTimeoutMs, signal }: { workers: number; lockTimeoutMs: number; signal?: AbortSignal | undefined },
): Promise<Snapshot> {
  const control = await MysqlSession.open(settings, { signal });
  const sessions: MysqlSession[] = [];
  try {
    await control.query('set session lock_wait_timeout = ?', [Math.max(1, Math.ceil(lockTimeoutMs / 1_000))]);
    for (let n = 0; n < workers; n++) sessions.push(await openReader(settings, signal));
    const position = await alignSessions(control, sessions, server);
    return new MysqlSnapshot(settings, server, control, sessions, position);
  } catch (error) {
    for (const session of [control, ...sessions]) session.destroy();
    throw error;
  }
}

async function openReader(settings: MysqlSettings, signal: AbortSignal | undefined): Promise<MysqlSession> {
  const session = await MysqlSession.open(settings, { signal });
  await session.query('set session transaction isolation level repeatable read');
  return session;
}

/** Leaves the sessions it could not line up closed and taken out of the list. */
async function alignSessions(control: MysqlSession, sessions: MysqlSession[], server: SourceServer): Promise<Position> {
  for (let attempt = 0; attempt < TRIES_WITHOUT_LOCK; attempt++) {
    const position = await alignByLuck(control, sessions, server);
    if (position !== null) return position;
  }
  try {
    await control.query('flush tables with read lock');
    try {
      await Promise.all(sessions.map((session) => begin(session, server)));
      return await currentPosition(control, server.flavour, server.lineage);
    } finally {
      await control.query('unlock tables');
    }
  } catch (error) {
    if (!isDenied(error)) throw error;
  }
  for (const session of sessions.splice(1)) await session.close();
  for (;;) {
    const position = await alignByLuck(control, sessions, server);
    if (position !== null) return position;
  }
}

async function alignByLuck(
  control: MysqlSession,
  sessions: readonly MysqlSession[],
  server: SourceServer,
): Promise<Position | null> {
  const before = server.flavour.mariadb ? null : await currentPosition(control, server.flavour, server.lineage);
  await Promise.all(sessions.map((session) => begin(session, server)));
  if (before !== null) {
    const after = await currentPosition(control, server.flavour, server.lineage);
    return before.ordinal === after.ordinal ? after : null;
  }
  const positions = await Promise.all(
    sessions.map((session) => snapshotPosition(session, server.flavour, server.lineage)),
  );
  const [first] = positions;
  if (first === undefined || first === null) return null;
  return positions.every((position) => position?.ordinal === first.ordinal) ? first : null;
}

function begin(session: MysqlSession, server: SourceServer): Promise<unknown> {
  return session.query(server.flavour.mariadb ? BEGIN_MARIADB : BEGIN);
}

function isDenied(error: unknown): boolean {
  const code: unknown = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return (
    code === 'ER_SPECIFIC_ACCESS_DENIED_ERROR' ||
    code === 'ER_ACCESS_DENIED_ERROR' ||
    code === 'ER_DBACCESS_DENIED_ERROR'
  );
}

class MysqlSnapshot implements Snapshot {
  readonly position: Position;
  readonly readers: readonly SnapshotReader[];
  readonly #settings: MysqlSettings;
  readonly #server: SourceServer;
  readonly #sessions: readonly MysqlSession[];

  constructor(
    settings: MysqlSettings,
    server: SourceServer,
    control: MysqlSession,
    sessions: readonly MysqlSession[],
    position: Position,
  ) {
    this.position = position;
    this.readers = sessions.map((session) => new TableReader(session));
    this.#settings = settings;
    this.#server = server;
    this.#sessions = [control, ...sessions];
  }

  async withLocked<Result>(
    table: MappedTable,
    work: (reader: SnapshotReader, position: Position) => Promise<Result>,
  ): Promise<Result> {
    const session = await MysqlSession.open(this.#settings);
    const log = await MysqlSession.open(this.#settings);
    try {
      await session.query(`lock tables ${qualifyMysql(table.source)} read`);
      const position = await currentPosition(log, this.#server.flavour, this.#server.lineage);
      const result = await work(new TableReader(session), position);
      await session.query('unlock tables');
      return result;
    } finally {
      await Promise.all([session.close(), log.close()]);
    }
  }

  async release(): Promise<void> {
    await Promise.all(this.#sessions.map((session) => session.close()));
  }
}
