// An atomic write whose writer goes no further than a step, as one that was killed there.
import { type AtomicStep, atomicWrites } from '../../src/cluster/index.ts';
import type { Datastore } from '../../src/core/index.ts';

/** Leaves a write of one row to each of these shards; the first one coordinates. */
export async function leaveWrite(db: Datastore, shards: readonly number[], at: AtomicStep): Promise<void> {
  const gone = new Error('gone');
  const writer = await atomicWrites(db, {
    recoverEveryMs: 0,
    onStep: (step) => {
      if (step === at) throw gone;
    },
  });
  try {
    await writer.write(shards, async (cursors) => {
      for (const cursor of cursors) await cursor.query(`insert into entities (type, body) values (1, '')`);
    });
    throw new Error(`the write never came to ${at}`);
  } catch (error) {
    if (error !== gone) throw error;
  } finally {
    await writer.close();
  }
}
