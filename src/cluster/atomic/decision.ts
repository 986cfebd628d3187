import type { Cursor, Datastore } from '../../core/index.ts';
import { SQLSTATE, sqlStateOf } from '../../internal/sqlstate.ts';
import { type AtomicPart, partName } from './part-name.ts';

/** `open`: its coordinator has not ended its transaction. */
export type Decision = 'done' | 'undone' | 'open';

/** How long a coordinator that is about to commit is waited for. */
const WAIT_MS = 300;

/**
 * Writes the decision, to be seen when the coordinator's transaction commits. It must stand before any part is prepared:
 * that is why whoever finds a part, and no decision in an open or a committed transaction, may undo the part.
 */
export async function writeDecision(cursor: Cursor, id: string, shards: readonly number[]): Promise<void> {
  await cursor.query('insert into hv_decision (id, shards) values ($1, $2)', [id, shards]);
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

/** Removes a decision when no shard's part is prepared any more. Each is asked where it lives now. */
export async function forgetDecision(
  db: Datastore,
  { id, coordinator }: Pick<AtomicPart, 'id' | 'coordinator'>,
  signal?: AbortSignal,
): Promise<boolean> {
  const { rows } = await db.transaction(
    coordinator,
    (cursor) => cursor.query<{ shards: number[] }>('select shards from hv_decision where id = $1', [id]),
    { signal },
  );
  for (const shardId of rows[0]?.shards ?? []) {
    const settled = await db.transaction(
      shardId,
      (cursor) =>
        cursor.query<{ settled: boolean }>('select hypervault.atomic_settled($1, $2, $3) as settled', [
          db.schemaOf(shardId),
          shardId,
          partName({ id, coordinator, shardId }),
        ]),
      { signal },
    );
    if (settled.rows[0]?.settled !== true) return false;
  }
  await removeDecision(db, { id, coordinator }, signal);
  return true;
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
