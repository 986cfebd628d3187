// Events that come into line while a sign of life is being taken over wait for its end: they must be told of it.
import { expect, test } from 'vitest';
import type { Beat, GroupSql } from '../../src/streams/persistent/group-sql.ts';
import { Heartbeat } from '../../src/streams/persistent/heartbeat.ts';
import { waitFor } from '../support/wait-for.ts';

test("tells when it is known what is the consumer's: after the first beat, and when one was taken over for longer than the lease", async () => {
  const leaseMs = 150;
  const beatNow = (): Beat =>
    ({ status: 'ok', revision: 1n, retryInMs: undefined, slices: [], sentAt: performance.now() }) as Beat;
  const sql = {
    group: { settings: { leaseMs }, revision: 1n },
    beat: async () => beatNow(),
  } as unknown as GroupSql;
  const stop = new AbortController();
  let confirmed = 0;
  let beats = 0;
  let wasValid = true;
  const heartbeat: Heartbeat = new Heartbeat(sql, {
    source: 's',
    isWanting: () => false,
    beforeBeat: () => {},
    onBeat: async () => {
      beats += 1;
      if (beats !== 2) return;
      // In time, but what it says takes longer to be taken over than the lease before lasts.
      await waitFor(() => !heartbeat.isValid, { what: 'the end of the lease', everyMs: 1 });
      wasValid = heartbeat.isValid;
    },
    onConfirmed: () => {
      confirmed += 1;
    },
    reload: async () => undefined,
  });
  const run = heartbeat.run(beatNow(), { signal: stop.signal, until: Number.POSITIVE_INFINITY }).catch(() => {});
  await waitFor(() => confirmed === 1, { what: 'the first beat being told' });
  await waitFor(() => beats >= 2 && !wasValid && confirmed >= 2, { what: 'the second one being told' });
  stop.abort();
  await run;
  expect(heartbeat.isValid).toBe(false);
});
