// Servers of a test's own, for faults: kill, stop, pause, promote. Stopped and removed with the test.
import { onTestFinished } from 'vitest';
import { type Embedded, type EmbeddedOptions, startEmbedded } from '../../src/embedded/index.ts';

/** Starts servers that belong to one test; `keep` leaves stopping them to the caller (for `beforeAll`). */
export async function ownServers({
  keep = false,
  ...options
}: EmbeddedOptions & { keep?: boolean } = {}): Promise<Embedded> {
  const embedded = await startEmbedded(options);
  if (!keep) onTestFinished(() => embedded.stop());
  return embedded;
}
