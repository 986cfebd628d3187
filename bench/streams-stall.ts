// Does an unrelated transaction left open hold readers up? It has written to a table of its own, and does nothing more.
// The rivals are apart: npm ci in bench/rivals first; one that is missing is left out.
import pg from 'pg';
import { startEmbedded } from 'pg-hypervault/embedded';
import { FOLLOWED, write } from './streams-followers.ts';

const RUN_MS = 3_000;
/** So long the reader has, after the writers, before the transaction ends; and again behind it. */
const WAIT_MS = 2_000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function run(): Promise<object[]> {
  await using servers = await startEmbedded({ settings: { max_connections: 120 } });
  const connection = servers.connections[0]!;
  const idle = new pg.Client(connection as pg.ClientConfig);
  await idle.connect();
  await idle.query('create table unrelated (n int)');
  const results: object[] = [];
  for (const [store, open] of Object.entries(FOLLOWED)) {
    let delivered = 0;
    const followed = await open(connection, () => {
      delivered += 1;
    });
    const before = await write(followed, 300, 0);
    await pause(WAIT_MS);
    await idle.query('begin; insert into unrelated values (1)');
    delivered = 0;
    const stored = (await write(followed, RUN_MS, before)) - before;
    await pause(WAIT_MS);
    const meanwhile = delivered;
    await idle.query('commit');
    await pause(2 * WAIT_MS);
    results.push({
      bench: 'streams-stall',
      store,
      unit: 'events delivered while it was open',
      ours: meanwhile,
      rivals: {},
      stored,
      afterwards: delivered - meanwhile,
    });
    await followed.close();
  }
  await idle.end();
  return results;
}
