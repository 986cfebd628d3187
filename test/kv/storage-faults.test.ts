import type pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { KvDatabase, PostgresCommitStorage } from '../../src/kv/index.ts';
import { freshDatabase } from '../support/database.ts';
import { ownServers } from '../support/own-server.ts';
import { startProxy, type Proxy as TcpProxy } from '../support/proxy.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

const bytes = (text: string) => Buffer.from(text);
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const WAITING = `select count(*)::int as n from pg_stat_activity
where datname = current_database() and wait_event_type = 'Lock'`;

/** Waits until anything more is sent through the proxy, or the call has ended. */
async function sentOn(proxy: TcpProxy, call: Promise<unknown>): Promise<void> {
  const before = proxy.bytesIn;
  let open = true;
  const ended = (): void => {
    open = false;
  };
  call.then(ended, ended);
  while (open && proxy.bytesIn === before) await turn();
}

async function storageOver(
  connection: ConstructorParameters<typeof KvDatabase>[0]['connection'],
  options: object = {},
) {
  const database = new KvDatabase({ connection, ...options });
  const storage = new PostgresCommitStorage({ connection: database, table: 't' });
  onTestFinished(async () => {
    await storage.stop();
    await database.close();
  });
  await storage.start();
  return storage;
}

test('the link is cut under every save, up to three times: none fails, none happens twice', async () => {
  const server = await freshDatabase();
  const proxy = await startProxy(server.connection);
  const storage = await storageOver({ ...server.connection, port: proxy.port }, { waitTimeoutMs: 15_000 });
  const last = 28;
  for (let version = 1; version <= last; version++) {
    const saving = storage.save({ key: 'k', version, payload: bytes(`${version}`), author: 'a' });
    // As soon as anything was sent, or some turns later: while connecting, before the reply, at the reply, behind it.
    for (let cuts = version % 4; cuts > 0; cuts--) {
      await sentOn(proxy, saving);
      for (let turns = version % 7; turns > 0; turns--) await turn();
      proxy.cut();
    }
    expect((await saving).version).toBe(version);
  }
  const { rows } = await server.query('select count(*)::int as n, max(version) as newest from hypervault.kv_commits');
  expect(rows[0]).toEqual({ n: last, newest: last });
});

test('saved, the reply lost, and the link cut again while looking it up: looked up anew, not sent a third time', async () => {
  const server = await freshDatabase();
  const proxy = await startProxy(server.connection);
  const asked: string[] = [];
  let cuts = 3;
  class Flaky extends KvDatabase {
    override async query<Row extends pg.QueryResultRow>(...[statement, ...rest]: Parameters<KvDatabase['query']>) {
      asked.push(statement.name);
      const answer = super.query<Row>(statement, ...rest);
      if (statement.name !== 'hv_kv_get_version' || cuts-- <= 0) return answer;
      await sentOn(proxy, answer);
      proxy.cut();
      return answer;
    }
  }
  const database = new Flaky({ connection: { ...server.connection, port: proxy.port } });
  const storage = new PostgresCommitStorage({ connection: database, table: 't' });
  onTestFinished(async () => {
    await storage.stop();
    await database.close();
  });
  await storage.start();
  await storage.save({ key: 'k', version: 1, payload: bytes('1') });
  // The server waits for the namespace's row, does not notice that its client is gone, and saves.
  const holder = await server.client();
  await holder.query("begin; select hypervault.kv_lock('t')");
  const saving = storage.save({ key: 'k', version: 2, payload: bytes('2') });
  await waitFor(async () => (await server.query(WAITING)).rows[0].n === 1);
  proxy.cut();
  await holder.query('commit');
  expect(await saving).toMatchObject({ version: 2, revision: 2n });
  expect(asked.slice(2)).toEqual(['hv_kv_save', ...Array<string>(4).fill('hv_kv_get_version')]);
});

test('a reply that is lost while another writer was faster is a conflict, not a success', async () => {
  const server = await freshDatabase();
  const proxy = await startProxy(server.connection);
  const slow = await storageOver({ ...server.connection, port: proxy.port });
  const fast = await storageOver(server.connection);
  await fast.save({ key: 'k', version: 1, payload: bytes('1') });
  await slow.get('k');
  proxy.blackhole();
  const saving = rejection(slow.save({ key: 'k', version: 2, payload: bytes('slow') }));
  await waitFor(() => proxy.bytesIn > 0);
  await fast.save({ key: 'k', version: 2, payload: bytes('fast') });
  await proxy.restore();
  expect(await saving).toMatchObject({ code: 'COMMIT_ORDERING', expectedVersion: 3, providedVersion: 2 });
  expect((await fast.get('k'))?.payload?.toString()).toBe('fast');
});

test('a server that does not come back: the outcome is unknown, and said so in time', async () => {
  const server = await freshDatabase();
  const proxy = await startProxy(server.connection);
  const storage = await storageOver(
    { ...server.connection, port: proxy.port },
    { waitTimeoutMs: 500, requestTimeoutMs: 300 },
  );
  await storage.get('k');
  proxy.blackhole();
  const started = performance.now();
  const error = await rejection(storage.save({ key: 'k', version: 1, payload: bytes('x') }));
  expect(error.code).toBe('OUTCOME_UNKNOWN');
  expect(performance.now() - started).toBeLessThan(3_000);
  expect((await rejection(storage.get('k'))).retryable).toBe(true);
  await proxy.restore();
});

test('a server killed and started again under eight writers: every acknowledged save is kept', async () => {
  const embedded = await ownServers({ servers: 1 });
  const server = embedded.servers[0]!;
  const storage = await storageOver(server.connection, { waitTimeoutMs: 15_000 });
  const acknowledged = new Map<string, number>();
  let going = true;
  const writers = Array.from({ length: 8 }, async (_, n) => {
    const key = `k${n}`;
    for (let version = 1; going; version++) {
      await storage.save({ key, version, payload: bytes(`${version}`), author: key });
      acknowledged.set(key, version);
    }
  });
  await waitFor(() => [...acknowledged.values()].every((version) => version > 5) && acknowledged.size === 8);
  await server.kill();
  const before = new Map(acknowledged);
  await server.start();
  await waitFor(() => [...acknowledged].every(([key, version]) => version > before.get(key)! + 5), {
    timeoutMs: 15_000,
  });
  going = false;
  await Promise.all(writers);
  const heads = await storage.heads();
  for (const [key, version] of acknowledged) {
    expect(heads.get(key)?.version).toBe(version);
    expect((await storage.history(key, { limit: 10_000 })).length).toBe(version);
  }
});

test('compaction: heads and tombstones stay, a watch from before is refused', async () => {
  const server = await freshDatabase();
  const storage = await storageOver(server.connection);
  const at: bigint[] = [];
  for (const [key, version, payload] of [
    ['a', 1, '1'],
    ['a', 2, '2'],
    ['gone', 1, '1'],
    ['gone', 2, null],
    ['a', 3, '3'],
  ] as const) {
    at.push((await storage.save({ key, version, payload: payload === null ? null : bytes(payload) })).revision!);
  }
  expect(await storage.compact(at[3]!)).toBe(3);
  expect((await storage.heads()).get('gone')?.version).toBe(2);
  expect((await storage.history('a')).map(({ version }) => version)).toEqual([3]);
  expect(await storage.get('a', 1)).toBeNull();
  const error = await rejection(storage.watch({ after: at[2]! }).next());
  expect(error).toMatchObject({ code: 'REVISION_COMPACTED', revision: at[2], compactedThrough: at[3] });
  const { value } = await storage.watch({ after: at[3]! }).next();
  expect(value).toMatchObject({ key: 'a', version: 3 });
  const saved = await storage.save({ key: 'gone', version: 3, payload: bytes('back') });
  expect(saved.version).toBe(3);
});

test('revisions become visible in their order, whatever the order of the commits', async () => {
  const server = await freshDatabase();
  const storage = await storageOver(server.connection, { poolMax: 12 });
  const { revision: start } = await storage.snapshot();
  let cursor = start;
  let going = true;
  const seen: bigint[] = [];
  const reader = (async () => {
    while (going) {
      const page = await storage.changes({ after: cursor });
      seen.push(...page.commits.map(({ revision }) => revision!));
      cursor = page.revision;
    }
  })();
  await Promise.all(
    Array.from({ length: 8 }, async (_, n) => {
      for (let version = 1; version <= 40; version++)
        await storage.save({ key: `k${n}`, version, payload: bytes('x') });
    }),
  );
  going = false;
  await reader;
  const rest = await storage.changes({ after: cursor });
  seen.push(...rest.commits.map(({ revision }) => revision!));
  expect(seen).toEqual(Array.from({ length: 320 }, (_, n) => start + BigInt(n) + 1n));
});

test('stop ends a watch', async () => {
  const server = await freshDatabase();
  const storage = await storageOver(server.connection);
  const next = storage.watch().next();
  await new Promise((resolve) => setTimeout(resolve, 50));
  await storage.stop();
  expect((await next).done).toBe(true);
  expect((await rejection(storage.get('k'))).code).toBe('CLOSED');
  await storage.start();
  expect(await storage.get('k')).toBeNull();
});

test('saves of one key keep their order also while one of them is sent again', async () => {
  const server = await freshDatabase();
  const proxy = await startProxy(server.connection);
  const storage = await storageOver({ ...server.connection, port: proxy.port }, { waitTimeoutMs: 15_000 });
  await storage.save({ key: 'k', version: 1, payload: bytes('1'), author: 'a' });
  const lock = await server.client();
  await lock.query('begin');
  await lock.query('select from hypervault.kv_namespaces for update');
  const first = storage.save({ key: 'k', version: 2, payload: bytes('2'), author: 'a' });
  await waitFor(async () => (await server.query(WAITING)).rows[0].n === 1);
  const waiting = `select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
  const { pid } = (await server.query(waiting)).rows[0];
  const second = storage.save({ key: 'k', version: 3, payload: bytes('3'), author: 'a' });
  const third = storage.save({ key: 'other', version: 1, payload: bytes('1'), author: 'a' });
  proxy.cut();
  await waitFor(
    async () => (await server.query('select from pg_stat_activity where pid = $1', [pid])).rows.length === 0,
  );
  await waitFor(async () => (await server.query(WAITING)).rows[0].n === 2);
  await lock.query('rollback');
  expect((await Promise.all([first, second, third])).map(({ version }) => version)).toEqual([2, 3, 1]);

  // who gives up while it waits lets nobody behind it overtake; a stop waits for all of them
  await lock.query('begin');
  await lock.query('select from hypervault.kv_namespaces for update');
  const stop = new AbortController();
  const fourth = storage.save({ key: 'k', version: 4, payload: bytes('4'), author: 'a' });
  const given = rejection(
    storage.save({ key: 'k', version: 5, payload: bytes('-'), author: 'a' }, { signal: stop.signal }),
  );
  const fifth = storage.save({ key: 'k', version: 5, payload: bytes('5'), author: 'a' });
  stop.abort();
  expect(await given).toMatchObject({ code: 'ABORTED' });
  const stopped = storage.stop();
  await lock.query('rollback');
  await stopped;
  expect((await Promise.all([fourth, fifth])).map(({ version }) => version)).toEqual([4, 5]);
});
