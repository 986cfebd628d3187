// A test file fails that leaves a session, a timer or a child process behind. Loaded for every file by vitest.config.ts.
import { afterAll, expect } from 'vitest';
import { waitFor } from './wait-for.ts';

/** Resources that belong to the runner, or that need no ending. */
const HARMLESS = new Set([
  'PipeWrap',
  'MessagePort',
  'TTYWrap',
  'FSReqCallback',
  'FSReqPromise',
  'CloseReq',
  'Immediate',
  'WriteWrap',
  'ShutdownWrap',
  'TTYWRAP',
]);

const before = counted();

afterAll(async () => {
  // Sockets and processes take a moment to close after they were told to.
  const left = await waitFor(() => (leaked().length === 0 ? 'none' : undefined), { timeoutMs: 3_000 }).catch(() =>
    leaked(),
  );
  expect(left, 'what this file opened and did not close').toBe('none');
});

function leaked(): string[] {
  const now = counted();
  return [...now].flatMap(([name, count]) =>
    count > (before.get(name) ?? 0) ? [`${count - (before.get(name) ?? 0)} × ${name}`] : [],
  );
}

function counted(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of process.getActiveResourcesInfo()) {
    // The runner has timers of its own while a hook runs, so only sockets, servers and processes are counted.
    if (HARMLESS.has(name) || name === 'Timeout') continue;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}
