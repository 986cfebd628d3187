// Old versions go by their number or age; heads, tombstones and what was replaced a moment ago stay.
import { expect, onTestFinished, test } from 'vitest';
import {
  Commit,
  importCommits,
  KvDatabase,
  openKv,
  PostgresCommitStorage,
  type Retention,
} from '../../src/kv/index.ts';
import { hypervault } from '../support/cli.ts';
import { freshDatabase } from '../support/database.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

const DAY_MS = 86_400_000;
const daysAgo = (days: number) => new Date(Date.now() - days * DAY_MS);

async function opened() {
  const { connection } = await freshDatabase();
  const database = new KvDatabase({ connection });
  const storage = new PostgresCommitStorage({ connection: database, table: 't' });
  onTestFinished(async () => {
    await storage.stop();
    await database.close();
  });
  await storage.start();
  /** One version for each age, the oldest first; `null` in front makes the last one a tombstone. */
  const save = async (key: string, ages: readonly number[], removed = false) => {
    for (const [at, age] of ages.entries()) {
      const payload = removed && at === ages.length - 1 ? null : Buffer.from(`${key} ${at + 1}`);
      await storage.save({ key, version: at + 1, payload, author: 'me', mtime: daysAgo(age) });
    }
  };
  const versions = async (key: string) => (await storage.history(key)).map(({ version }) => version).reverse();
  return { storage, save, versions, connection };
}

test.each<[string, Retention, number[]]>([
  ['by number', { maxVersions: 2 }, [4, 5]],
  ['by number, more than there are', { maxVersions: 9 }, [1, 2, 3, 4, 5]],
  ['by age: version 3 was replaced 20 days ago', { maxAgeMs: 25 * DAY_MS }, [3, 4, 5]],
  ['by age: all that were ever replaced', { maxAgeMs: 0 }, [5]],
  ['both: whichever lets go', { maxVersions: 4, maxAgeMs: 15 * DAY_MS }, [4, 5]],
  ['what was replaced within the spared time stays', { maxVersions: 1, spareMs: 25 * DAY_MS }, [3, 4, 5]],
])('%s', async (_what, retention, left) => {
  const { storage, save, versions } = await opened();
  await save('k', [50, 40, 30, 20, 10]);
  await save('gone', [50, 40], true);
  await save('young', [0]);
  const before = await storage.snapshot();
  const dry = await storage.retain(retention, { dryRun: true });
  expect(await versions('k')).toEqual([1, 2, 3, 4, 5]);
  expect(await storage.retain(retention)).toBe(dry);
  expect(await versions('k')).toEqual(left);
  const after = await storage.snapshot();
  expect([...after.heads.values()].map(String)).toEqual([...before.heads.values()].map(String));
  expect(after.heads.get('gone')?.isEmpty).toBe(true);
  expect(await storage.retain(retention)).toBe(0);
  expect((await storage.save({ key: 'k', version: 6, payload: Buffer.from('x') })).version).toBe(6);
});

test('what is left of a key has no holes, whatever its dates say', async () => {
  const { storage, save, versions } = await opened();
  await save('k', [10, 1, 50, 10]);
  await storage.retain({ maxAgeMs: 20 * DAY_MS });
  expect(await versions('k')).toEqual([1, 2, 3, 4]);
  await storage.retain({ maxAgeMs: 5 * DAY_MS });
  expect(await versions('k')).toEqual([1, 2, 3, 4]);
});

test('a watch from before what went is refused, one from behind it goes on', async () => {
  const { storage, save } = await opened();
  await save('a', [50, 40, 30]);
  await save('b', [50]);
  expect(await storage.retain({ maxVersions: 1 })).toBe(2);
  expect((await rejection(storage.changes({ after: 1n }))).code).toBe('REVISION_COMPACTED');
  expect((await storage.changes({ after: 2n })).commits.map(({ key }) => key)).toEqual(['a', 'b']);
});

test('other namespaces are not touched; thousands go in several transactions', async () => {
  const { storage, connection } = await opened();
  const other = new PostgresCommitStorage({ connection, table: 'other' });
  await other.start();
  onTestFinished(() => other.stop());
  const mtime = daysAgo(9);
  async function* many() {
    for (let version = 1; version <= 10_500; version++) yield new Commit({ key: 'k', version, payload: null, mtime });
  }
  await importCommits(many(), { connection, table: 't' });
  for (let version = 1; version <= 5; version++) await other.save({ key: 'k', version, payload: null, mtime });
  expect(await storage.retain({ maxVersions: 10 })).toBe(10_490);
  expect((await other.history('k')).length).toBe(5);
});

test('the auto-publisher sees to it; the command line, too', async () => {
  const { save, versions, connection } = await opened();
  await save('k', [50, 40, 30, 20, 10]);
  const { user, password, host, port, database } = connection;
  const at = ['--database', `postgres://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`];
  const words = ['kv', 'compact', ...at, '--table', 't', '--max-age-days', '35'];
  expect((await hypervault([...words, '--dry-run'])).stdout).toBe('1 versions would be gone\n');
  expect((await hypervault([...words, '--json'])).json()).toEqual([{ gone: 1, dryRun: false }]);
  expect(await versions('k')).toEqual([2, 3, 4, 5]);
  expect((await hypervault(['kv', 'compact', ...at])).exitCode).toBe(2);
  const autoPublish = { delay: false, periodMs: 50 };
  await using kv = await openKv({ connection, table: 't', retention: { maxVersions: 2 }, autoPublish });
  await waitFor(async () => (await versions('k')).length === 2, { timeoutMs: 10_000 });
  expect(kv.autoPublisher?.leading).toBe(true);
});

test.each<[object, RegExp]>([
  [{}, /give maxVersions, maxAgeMs or both/],
  [{ maxVersions: 0 }, /at least 1/],
  [{ maxVersions: 1.5 }, /whole number/],
  [{ maxAgeMs: -1 }, /maxAgeMs/],
  [{ maxVersion: 1 }, /maxVersions/],
])('%j is refused', async (retention, message) => {
  const { connection } = await freshDatabase();
  const error = await rejection(openKv({ connection, retention: retention as Retention }));
  expect(error).toMatchObject({ code: 'CONFIGURATION', message: expect.stringMatching(message) });
  const without = rejection(openKv({ connection, retention: { maxVersions: 1 }, autoPublish: false }));
  expect((await without).message).toContain('needs the auto-publisher');
});
