import type { Datastore } from '../../core/index.ts';
import { quoteLiteral } from '../../internal/quote.ts';
import { SQLSTATE, sqlStateOf } from '../../internal/sqlstate.ts';

/**
 * Ends a prepared transaction, by the decision. One that is not there has been ended in the same way by somebody else:
 * there is but one decision.
 *
 * @param shardId - any shard of the server
 * @returns whether it was there
 */
export async function endPart(
  db: Datastore,
  shardId: number,
  how: 'commit' | 'rollback',
  name: string,
  signal?: AbortSignal,
): Promise<boolean> {
  return db.withCursor(
    shardId,
    async (cursor) => {
      // By the client itself: behind a pooler a cursor would make a transaction around it, where it may not be run.
      const client = await cursor.rawClient();
      try {
        await client.query(`${how} prepared ${quoteLiteral(name)}`);
        return true;
      } catch (error) {
        if (sqlStateOf(error) !== SQLSTATE.undefinedObject) throw error;
        return false;
      }
    },
    { signal },
  );
}
