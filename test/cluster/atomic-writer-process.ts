// A writer to be killed: makes an atomic write for each stop, all at once, and stands still where it is told to.
// node --import tsx atomic-writer-process.ts '{"connections":[…],"stops":[["prepared",[1,9]],…]}'
// Prints "stopped N" for each; whoever started it kills it.
import process from 'node:process';
import { type AtomicStep, atomicWrites } from '../../src/cluster/index.ts';
import { type ConnectionEntry, Datastore } from '../../src/core/index.ts';

const { connections, stops } = JSON.parse(process.argv[2]!) as {
  connections: ConnectionEntry[];
  /** The step, the shard where it is to be stopped, and the shards, the coordinator first. */
  stops: [AtomicStep, number, number[]][];
};
const db = new Datastore(connections, { poolMax: 30 });
await Promise.all(
  stops.map(async ([step, at, shards], n) => {
    try {
      const atomic = await atomicWrites(db, {
        recoverEveryMs: 0,
        onStep: async (now, shardId) => {
          if (now !== step || shardId !== at) return;
          process.stdout.write(`stopped ${n}\n`);
          await new Promise(() => {});
        },
      });
      await atomic.write(shards, async (cursors) => {
        for (const cursor of cursors) {
          await cursor.query(`update entities set body = body || hstore('done', 'yes') where type = 1`);
        }
      });
      process.stdout.write(`ended ${n}\n`);
    } catch (error) {
      process.stdout.write(`failed ${n}: ${(error as Error).message}\n`);
    }
  }),
);
