// A test file fails that leaves a socket, a server, a timer or a child process behind. Loaded for every file by
// vitest.config.ts. Sessions left in a database are told by database.ts when it is dropped.
import { afterAll, expect } from 'vitest';
import { childrenOf } from '../../src/embedded/processes.ts';
import { waitFor } from './wait-for.ts';

/** What must be gone at the end. Other resources are the runner's (pipes, ports of messages) or end by themselves. */
const WATCHED = ['TCPSocketWrap', 'TCPServerWrap', 'UDPWrap', 'ProcessWrap', 'FSEventWrap', 'StatWatcher', 'Timeout'];

const before = counted();

afterAll(async () => {
  // Sockets and processes take a moment to close after they were told to.
  await waitFor(async () => (await left()).length === 0, { timeoutMs: 15_000, everyMs: 20 }).catch(() => {});
  expect(await left(), 'what this file opened and did not close').toEqual([]);
});

async function left(): Promise<string[]> {
  const now = counted();
  const resources = WATCHED.flatMap((name) => {
    const more = (now.get(name) ?? 0) - (before.get(name) ?? 0);
    return more > 0 ? [`${more} × ${name}`] : [];
  });
  // Children that do not keep this process alive are in no list of Node's.
  const children = (await childrenOf(process.pid)).map((pid) => `child process ${pid}`);
  return [...resources, ...children];
}

/** Timers that were told not to keep the process alive are not in the list. */
function counted(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of process.getActiveResourcesInfo()) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}
