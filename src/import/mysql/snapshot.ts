import { ReplicaStateError } from '../errors.ts';
import type { Position } from '../model/position.ts';
import type { SourceTable } from '../model/source-table.ts';
import type { MappedTable } from '../model/target-table.ts';
import type { Snapshot, SnapshotOptions, SnapshotReader } from '../source/snapshot.ts';
import { qualifyMysql } from './copy-line.ts';
import type { SourceServer } from './flavour.ts';
import { MysqlSession } from './session.ts';
import type { MysqlSettings } from './settings.ts';
import { currentPosition, snapshotPosition } from './status.ts';
import { TableReader } from './table-reader.ts';

const BEGIN = 'start transaction with consistent snapshot, read only';
const BEGIN_MARIADB = 'start transaction with consistent snapshot';

/** How often sessions of MariaDB are lined up by luck before a lock is taken. */
const TRIES_WITHOUT_LOCK = 3;

/**
 * Opens sessions that all see the source at one place of its log.
 *
 * 1. MariaDB says which place of the log a session sees. The sessions begin at the same time; when all report the same
 *    place, they are in line, without any lock. Without the right to lock, one session alone is always in line.
 * 2. MySQL does not say it, and where its log ends tells nothing: a transaction stands there for as long as its log is
 *    written to disk before anybody sees what it did. So the sessions begin under `flush tables with read lock`, which
 *    waits for commits too. It is held for as long as it takes to begin – milliseconds, but it waits for statements that
 *    run, so `lock_wait_timeout` bounds it.
 * 3. Without the right for that (RDS), under `lock tables … read` of the tables to copy, which waits for transactions
 *    that have written to them.
 */
export async function openSnapshot(
  settings: MysqlSettings,
  server: SourceServer,
  { workers, tables, lockTimeoutMs, signal }: SnapshotOptions,
): Promise<Snapshot> {
  const control = await MysqlSession.open(settings, { signal });
  const sessions: MysqlSession[] = [];
  try {
    await control.query('set session lock_wait_timeout = ?', [Math.max(1, Math.ceil(lockTimeoutMs / 1_000))]);
    for (let n = 0; n < workers; n++) sessions.push(await openReader(settings, signal));
    const position = await alignSessions(control, sessions, server, tables);
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
async function alignSessions(
  control: MysqlSession,
  sessions: MysqlSession[],
  server: SourceServer,
  tables: readonly SourceTable[] | undefined,
): Promise<Position> {
  const { mariadb } = server.flavour;
  if (tables === undefined) {
    await Promise.all(sessions.map((session) => begin(session, server)));
    return currentPosition(control, server.flavour, server.lineage);
  }
  for (let attempt = 0; mariadb && attempt < TRIES_WITHOUT_LOCK; attempt++) {
    const position = await alignByLuck(sessions, server);
    if (position !== null) return position;
  }
  const underLock = await alignUnderLock(control, sessions, server, [
    // The first waits for statements without holding others up, so that the second need not
    ['flush local tables', 'flush tables with read lock'],
    ...(mariadb || tables.length === 0
      ? []
      : [[`lock tables ${tables.map((table) => `${qualifyMysql(table)} read`).join(', ')}`]]),
  ]);
  if (underLock !== null) return underLock;
  if (!mariadb) {
    throw new ReplicaStateError(
      `the user may neither flush nor lock tables on ${control.label}, and MySQL tells in no other way which place of its log a copy shows: grant reload on *.*, or lock tables on the databases, to it`,
    );
  }
  for (const session of sessions.splice(1)) await session.close();
  for (;;) {
    const position = await alignByLuck(sessions, server);
    if (position !== null) return position;
  }
}

/** @returns `null` when the user has the right for none of the locks */
async function alignUnderLock(
  control: MysqlSession,
  sessions: readonly MysqlSession[],
  server: SourceServer,
  locks: readonly (readonly string[])[],
): Promise<Position | null> {
  for (const statements of locks) {
    try {
      for (const statement of statements) await control.query(statement);
    } catch (error) {
      if (isDenied(error)) continue;
      throw error;
    }
    try {
      await Promise.all(sessions.map((session) => begin(session, server)));
      return await currentPosition(control, server.flavour, server.lineage);
    } finally {
      await control.query('unlock tables');
    }
  }
  return null;
}

async function alignByLuck(sessions: readonly MysqlSession[], server: SourceServer): Promise<Position | null> {
  await Promise.all(sessions.map((session) => begin(session, server)));
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
    code === 'ER_DBACCESS_DENIED_ERROR' ||
    code === 'ER_TABLEACCESS_DENIED_ERROR'
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
