// Saves at the same time share a transaction, and nothing else: each has its own outcome.
import { expect, onTestFinished, test } from 'vitest';
import { type CommitInput, KvDatabase, PostgresCommitStorage } from '../../src/kv/index.ts';
import { freshDatabase } from '../support/database.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

const commit = (key: string, version: number, payload = `${key} ${version}`): CommitInput => ({
  key,
  version,
  payload: Buffer.from(payload),
  author: 'me',
});

async function opened() {
  const server = await freshDatabase();
  const database = new KvDatabase({ connection: server.connection });
  const storage = new PostgresCommitStorage({ connection: database, table: 't' });
  onTestFinished(async () => {
    await storage.stop();
    await database.close();
  });
  await storage.start();
  await storage.save(commit('first', 1));
  const transactions = async (): Promise<number> =>
    (await server.query('select count(distinct xmin::text)::int as n from hypervault.kv_commits')).rows[0].n;
  /** Keeps the namespace locked, so that what is saved meanwhile comes together. */
  const holding = async (work: () => Promise<void>) => {
    const holder = await server.client();
    await holder.query("begin; select hypervault.kv_lock('t')");
    await work();
    await holder.query('commit');
  };
  return { server, storage, transactions, holding };
}

test('many writers at once: few transactions, all saved, revisions without a gap, one row in the heads for each', async () => {
  const { storage, transactions } = await opened();
  const saved = await Promise.all(Array.from({ length: 150 }, (_, n) => storage.save(commit(`k${n}`, 1))));
  expect(saved.map(({ revision }) => Number(revision)).sort((a, b) => a - b)).toEqual(
    Array.from({ length: 150 }, (_, n) => n + 2),
  );
  expect(await transactions()).toBeLessThan(15);
  const { commits } = await storage.changes({ after: 0n });
  expect(commits.map(({ revision }) => Number(revision))).toEqual(Array.from({ length: 151 }, (_, n) => n + 1));
  for (const each of saved) expect((await storage.get(each.key))?.equals(each)).toBe(true);
});

test('one that does not fit is refused alone, with the version it should have had', async () => {
  const { storage, transactions, holding } = await opened();
  let outcomes: Promise<PromiseSettledResult<{ revision: bigint | undefined }>[]> | undefined;
  await holding(async () => {
    const wrong = [commit('first', 1), commit('first', 3), commit('new', 2), commit('new2', 0), commit('new3', -5)];
    // Two alone take the two places; the others wait, and go together.
    outcomes = Promise.allSettled(
      [commit('a', 1), commit('b', 1), ...wrong, commit('c', 1)].map((c) => storage.save(c)),
    );
  });
  const [a, b, ...rest] = await outcomes!;
  const c = rest.pop()!;
  expect([a, b, c].map((outcome) => outcome?.status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
  expect(rest.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.message : 'saved'))).toEqual([
    'Concurrent modification: first: requested version (1) was not next available version (2)',
    'Concurrent modification: first: requested version (3) was not next available version (2)',
    'Concurrent modification: new: requested version (2) was not next available version (1)',
    'Concurrent modification: new2: requested version (0) was not next available version (1)',
    'Concurrent modification: new3: requested version (-5) was not next available version (1)',
  ]);
  expect([...(await storage.heads()).keys()]).toEqual(['a', 'b', 'c', 'first']);
  expect((await storage.revision()).toString()).toBe('4');
  expect(await transactions()).toBe(4);
});

test('saves of one key keep their order', async () => {
  const { storage } = await opened();
  const saved = await Promise.all(Array.from({ length: 40 }, (_, n) => storage.save(commit('k', n + 1))));
  expect(saved.map(({ version }) => version)).toEqual(Array.from({ length: 40 }, (_, n) => n + 1));
  const racing = await Promise.allSettled(Array.from({ length: 20 }, (_, n) => storage.save(commit('k', 41, `${n}`))));
  expect(racing.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect(racing[0]!.status).toBe('fulfilled');
});

test('one that the server can not take fails alone', async () => {
  const { storage, server, holding } = await opened();
  await server.query("alter table hypervault.kv_commits add check (payload <> 'poison')");
  let outcomes: Promise<PromiseSettledResult<unknown>[]> | undefined;
  await holding(async () => {
    const all = [commit('a', 1), commit('b', 1), commit('c', 1), commit('bad', 1, 'poison'), commit('d', 1)];
    outcomes = Promise.allSettled(all.map((each) => storage.save(each)));
  });
  const settled = await outcomes!;
  expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
  expect((settled[3] as PromiseRejectedResult).reason.code).toBe('23514');
});

test('a signal lets go of one: what had not begun is not saved, the others are', async () => {
  const { storage, holding, server } = await opened();
  const stop = new AbortController();
  let others: Promise<unknown> | undefined;
  await holding(async () => {
    others = Promise.all([commit('a', 1), commit('b', 1), commit('c', 1)].map((each) => storage.save(each)));
    const error = rejection(storage.save(commit('dropped', 1), { signal: stop.signal }));
    await waitFor(async () => {
      const asked =
        "select count(*)::int as n from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
      return (await server.query(asked)).rows[0].n === 2;
    });
    stop.abort();
    expect((await error).code).toBe('ABORTED');
    expect((await rejection(storage.save(commit('late', 1), { signal: stop.signal }))).code).toBe('ABORTED');
  });
  await others;
  expect([...(await storage.heads()).keys()]).toEqual(['a', 'b', 'c', 'first']);
});

test('long payloads go in transactions of their own', async () => {
  const { storage, transactions } = await opened();
  const long = 'x'.repeat(700_000);
  await Promise.all(['a', 'b', 'c', 'd', 'e'].map((key) => storage.save(commit(key, 1, long))));
  expect(await transactions()).toBe(6);
});

test('stop waits for the saves in hand', async () => {
  const { storage } = await opened();
  const saving = Promise.all(Array.from({ length: 30 }, (_, n) => storage.save(commit(`k${n}`, 1))));
  await storage.stop();
  await saving;
  await storage.start();
  expect((await storage.heads()).size).toBe(31);
});
