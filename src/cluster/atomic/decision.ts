import type { Cursor, Datastore } from '../../core/index.ts';
import { SQLSTATE, sqlStateOf } from '../../internal/sqlstate.ts';
import { type AtomicPart, partName } from './part-name.ts';

/** `open`: its coordinator has not ended its transaction. */
export type Decision = 'done' | 'undone' | 'open';

/** How long a coordinator that is about to commit is waited for. */
const WAIT_MS = 300;

/** Where a part was begun. */
export interface PartPlace {
  readonly server: string;
  /** Of the server's log: it grows when a standby is promoted. */
  readonly timeline: number;
}

/** The timeline of the server that is asked. */
export const TIMELINE = `('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::integer`;

/**
 * Writes the decision, to be seen when the coordinator's transaction commits. It must stand before any part is prepared:
 * that is why whoever finds a part, and no decision in an open or a committed transaction, may undo the part.
 */
export async function writeDecision(cursor: Cursor, id: string, places: ReadonlyMap<number, PartPlace>): Promise<void> {
  await cursor.query('insert into hv_decision (id, shards, places) values ($1, $2, $3)', [
    id,
    [...places.keys()],
    JSON.stringify(Object.fromEntries(places)),
  ]);
}

/** How an atomic write ended, by the shard that coordinated it, wherever that lives now. */
export async function askDecision(
  db: Datastore,
  { id, coordinator }: Pick<AtomicPart, 'id' | 'coordinator'>,
  signal?: AbortSignal,
): Promise<Decision> {
  try {
    const { rows } = await db.transaction(
      coordinator,
      (cursor) =>
        cursor.query<{ done: boolean }>('select hypervault.atomic_decided($1, $2, $3) as done', [
          db.schemaOf(coordinator),
          id,
          WAIT_MS,
        ]),
      // Another level would look at a snapshot from before the wait.
      { isolation: 'read committed', signal },
    );
    return rows[0]!.done ? 'done' : 'undone';
  } catch (error) {
    if (sqlStateOf(error) === SQLSTATE.lockNotAvailable) return 'open';
    throw error;
  }
}

/** Notes that a part has ended for certain. */
export async function strikeParts(
  db: Datastore,
  { id, coordinator }: Pick<AtomicPart, 'id' | 'coordinator'>,
  shards: readonly number[],
  signal?: AbortSignal,
): Promise<void> {
  await db.transaction(
    coordinator,
    (cursor) =>
      cursor.query(
        'update hv_decision set shards = array(select unnest(shards) except select unnest($2::integer[])) where id = $1',
        [id, shards],
      ),
    { signal },
  );
}

/** What has become of the parts of a write that is decided. */
export interface PartsLeft {
  /** Some are still prepared. */
  readonly prepared: boolean;
  /**
   * Shards whose server was promoted since their part was begun, and which have it no more: it was lost with what the
   * standby had not got, unless somebody has ended it and died before he could say so.
   */
  readonly lost: readonly number[];
}

/** Asks the shard of each part that is not known to have ended, where it lives now. */
export async function lookAtParts(
  db: Datastore,
  { id, coordinator }: Pick<AtomicPart, 'id' | 'coordinator'>,
  signal?: AbortSignal,
): Promise<PartsLeft> {
  const { rows } = await db.transaction(
    coordinator,
    (cursor) =>
      cursor.query<{ shards: number[]; places: Record<string, PartPlace> }>(
        'select shards, places from hv_decision where id = $1',
        [id],
      ),
    { signal },
  );
  const lost: number[] = [];
  for (const shardId of rows[0]?.shards ?? []) {
    const asked = await db.transaction(
      shardId,
      (cursor) =>
        cursor.query<{ settled: boolean; timeline: number }>(
          `select hypervault.atomic_settled($1, $2, $3) as settled, ${TIMELINE} as timeline`,
          [db.schemaOf(shardId), shardId, partName({ id, coordinator, shardId })],
        ),
      { signal },
    );
    const { settled, timeline } = asked.rows[0]!;
    if (!settled) return { prepared: true, lost: [] };
    const place = rows[0]!.places[shardId];
    // A shard that lives elsewhere has moved since, and no move takes one away before its parts have ended.
    const here = place?.server === db.map.serverOf(shardId).name;
    if (here && place.timeline !== timeline) lost.push(shardId);
  }
  return { prepared: false, lost };
}

/** Removes a decision when every part has ended, and none may be lost. */
export async function forgetDecision(
  db: Datastore,
  write: Pick<AtomicPart, 'id' | 'coordinator'>,
  signal?: AbortSignal,
): Promise<PartsLeft> {
  const left = await lookAtParts(db, write, signal);
  if (!left.prepared && left.lost.length === 0) await removeDecision(db, write, signal);
  return left;
}

/** Only when every part has ended for certain. */
export async function removeDecision(
  db: Datastore,
  { id, coordinator }: Pick<AtomicPart, 'id' | 'coordinator'>,
  signal?: AbortSignal,
): Promise<void> {
  await db.transaction(coordinator, (cursor) => cursor.query('delete from hv_decision where id = $1', [id]), {
    signal,
  });
}
