// Are events lost? Sixteen writers append through sessions of their own while one reader follows the end of everything.
// The rivals are apart: npm ci in bench/rivals first; one that is missing is left out.
import { startEmbedded } from 'pg-hypervault/embedded';
import { FOLLOWED, type OpenFollowed, write } from './streams-followers.ts';

const RUN_MS = Number(process.env.HYPERVAULT_BENCH_MS ?? 10_000);
/** When nothing has come for so long, nothing more will. */
const QUIET_MS = 2_000;
/** A reader that has not come to the last event by then has stopped. */
const PATIENCE_MS = 20_000;

export async function run(): Promise<object[]> {
  await using servers = await startEmbedded({ settings: { max_connections: 120 } });
  const connection = servers.connections[0]!;
  const results: object[] = [];
  for (const [store, open] of Object.entries(FOLLOWED)) {
    const { stored, lost, twice } = await follow(connection, open);
    results.push({ bench: 'streams-loss', store, unit: 'events lost', ours: lost, rivals: {}, stored, twice });
  }
  return results;
}

async function follow(
  connection: Parameters<OpenFollowed>[0],
  open: OpenFollowed,
): Promise<{ stored: number; lost: number; twice: number }> {
  const times = new Map<number, number>();
  let lastAt = performance.now();
  const store = await open(connection, (body) => {
    times.set(body, (times.get(body) ?? 0) + 1);
    lastAt = performance.now();
  });
  let stored = await write(store, RUN_MS, 0);
  // A last event, so that the reader is known to be alive and past all that it has not delivered.
  await store.append(0, stored++);
  lastAt = performance.now();
  while (performance.now() - lastAt < (times.has(stored - 1) ? QUIET_MS : PATIENCE_MS)) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await store.close();
  if (!times.has(stored - 1)) throw new Error('the reader did not come to the last event');
  const twice = [...times.values()].filter((count) => count > 1).length;
  return { stored, lost: stored - times.size, twice };
}
