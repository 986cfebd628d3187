import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import {
  type Commit,
  CommitKeeper,
  type CommitMirror,
  jsonCodec,
  jsonObjectCodec,
  KvDatabase,
  PostgresCommitStorage,
} from '../../src/kv/index.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { ownServers } from '../support/own-server.ts';
import { startProxy } from '../support/proxy.ts';
import { waitFor } from '../support/wait-for.ts';

let server: TestDatabase;
let database: KvDatabase;
let table = '';
let storage: PostgresCommitStorage;
let tables = 0;

beforeAll(async () => {
  server = await freshDatabase({ keep: true });
  database = new KvDatabase({ connection: server.connection });
  await database.install();
});
afterAll(async () => {
  await database.close();
  await server.drop();
});
beforeEach(async () => {
  tables += 1;
  table = `m${tables}`;
  storage = new PostgresCommitStorage({ connection: database, table });
  await storage.start();
});

const save = (key: string, version: number, payload: string | null) =>
  storage.save({ key, version, payload: payload === null ? null : Buffer.from(payload), author: 'ann' });

async function openMirror(connection: KvDatabase = database, prefix = ''): Promise<CommitMirror> {
  const mirror = await new CommitKeeper({ connection, table }).mirror({ prefix });
  onTestFinished(() => mirror.close());
  return mirror;
}

/** A KvDatabase of its own, as another process would have it. */
function elsewhere(connection: TestDatabase['connection']): KvDatabase {
  const other = new KvDatabase({ connection });
  onTestFinished(() => other.close());
  return other;
}

const shown = (map: ReadonlyMap<string, Commit>) =>
  Object.fromEntries([...map].map(([key, commit]) => [key, commit.version]));

describe('following', () => {
  test('what takes longer to read than a dead session is waited for is read in the end', {
    timeout: 30_000,
  }, async () => {
    const slow = await freshDatabase();
    const there = new PostgresCommitStorage({ connection: slow.connection, table });
    await there.start();
    onTestFinished(() => there.stop());
    const mirror = await openMirror(elsewhere(slow.connection));
    await slow.query(`
      create schema at_once;
      alter function hypervault.kv_published set schema at_once;
      create function hypervault.kv_published(text, after bigint, text)
      returns table (newest bigint, timeline text, revision bigint, key text, version integer, payload bytea,
                     author text, comment text, mtime timestamptz)
      language plpgsql as $$
      begin
        perform pg_sleep(2.5);
        return query select * from at_once.kv_published($1, $2, $3);
      end $$`);
    await there.save({ key: 'a', version: 1, payload: Buffer.from('x') });
    await waitFor(() => mirror.current.has('a'), { timeoutMs: 15_000 });
  });

  test('begins with everything, in one notification, and stays silent when nothing changes', async () => {
    for (const key of ['hey', 'there', 'what']) await save(key, 1, 'x');
    await save('gone', 1, 'x');
    await save('gone', 2, null);
    const mirror = await openMirror();
    const seen: object[] = [];
    mirror.observe((map) => seen.push(shown(map)));
    expect(seen).toEqual([{ hey: 1, there: 1, what: 1 }]);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(seen).toHaveLength(1);
  });

  test('saves, removals and revivals arrive, in order', async () => {
    const mirror = await openMirror(elsewhere(server.connection));
    const changes: string[] = [];
    mirror.on('change', ({ key, commit, previous }) =>
      changes.push(`${key} ${previous?.version ?? '-'}>${commit?.version ?? '-'}`),
    );
    for (const [key, version, payload] of [
      ['a', 1, 'x'],
      ['b', 1, 'x'],
      ['a', 2, 'y'],
      ['a', 3, null],
      ['a', 4, 'z'],
    ] as const) {
      const { revision } = await save(key, version, payload);
      await mirror.reached(revision!);
    }
    expect(changes).toEqual(['a ->1', 'b ->1', 'a 1>2', 'a 2>-', 'a ->4']);
    expect(shown(mirror.current)).toEqual({ a: 4, b: 1 });
  });

  test('several keys of one save come in one update', async () => {
    const mirror = await openMirror();
    const updates: number[] = [];
    mirror.on('update', ({ changes }) => updates.push(changes.length));
    const saved = await storage.saveAll(
      Array.from({ length: 50 }, (_, n) => ({ key: `k${n}`, version: 1, payload: Buffer.from('x') })),
    );
    await mirror.reached(saved.at(-1)!.revision!);
    expect(updates).toEqual([50]);
  });

  test('what a keeper publishes without a journal arrives as well', async () => {
    const keeper = new CommitKeeper({ connection: database, table });
    const mirror = await openMirror(elsewhere(server.connection));
    await keeper.save({ key: 'k', version: 7, payload: Buffer.from('x') });
    await waitFor(() => mirror.current.get('k')?.version === 7);
    await keeper.save({ key: 'k', version: 8, payload: null });
    await waitFor(() => mirror.current.size === 0);
  });

  test('only keys with its prefix', async () => {
    await save('a.1', 1, 'x');
    await save('b.1', 1, 'x');
    const mirror = await openMirror(database, 'a.');
    let updates = 0;
    mirror.on('update', () => (updates += 1));
    await mirror.reached((await save('b.1', 2, 'x')).revision!);
    await mirror.reached((await save('a.2', 1, 'x')).revision!);
    expect(shown(mirror.current)).toEqual({ 'a.1': 1, 'a.2': 1 });
    expect(updates).toBe(1);
  });

  test('other namespaces neither show nor wake', async () => {
    const mirror = await openMirror();
    const other = new PostgresCommitStorage({ connection: database, table: `${table}x` });
    await other.start();
    await other.save({ key: 'foreign', version: 1, payload: Buffer.from('x') });
    await mirror.reached((await save('own', 1, 'x')).revision!);
    expect([...mirror.current.keys()]).toEqual(['own']);
  });

  test('mirrors with other codecs watch the same data; a payload one cannot read keeps its entry', async () => {
    const open = async (codec: ReturnType<typeof jsonCodec>) => {
      const mirror = await new CommitKeeper({ connection: database, table, codec }).mirror();
      onTestFinished(() => mirror.close());
      return mirror;
    };
    const [loose, strict] = [await open(jsonCodec()), await open(jsonObjectCodec)];
    const { revision } = await save('k', 1, '[1]');
    await Promise.all([loose.reached(revision!), strict.reached(revision!)]);
    expect(loose.current.get('k')?.valueOption).toEqual([1]);
    expect(strict.current.get('k')?.value?.ok).toBe(false);
    expect(strict.current.get('k')?.payload?.toString()).toBe('[1]');
  });

  test('a row that is no commit has no entry, is told of, and stops nothing', async () => {
    const warned: { key?: string; payload?: string }[] = [];
    const logger = { debug() {}, warn: (fields: object) => void warned.push(fields) };
    const mirror = await new CommitKeeper({ connection: database, table, logger }).mirror();
    onTestFinished(() => mirror.close());
    const errors: (string | undefined)[] = [];
    mirror.on('error', ({ key }) => errors.push(key));
    await mirror.reached((await save('k', 1, 'y'.repeat(2000))).revision!);
    await server.query(
      `with bumped as (
         update hypervault.kv_namespaces set revision = revision + 1 where namespace = $1 returning revision
       )
       update hypervault.kv_heads set comment = repeat('x', 9000), revision = (select revision from bumped)
       where namespace = $1`,
      [table],
    );
    await mirror.reached((await save('other', 1, 'x')).revision!);
    expect(shown(mirror.current)).toEqual({ other: 1 });
    expect(errors).toEqual(['k']);
    expect(warned[0]).toMatchObject({ key: 'k', payload: 'y'.repeat(1024) });
  });

  test('closing stops it; the map stays', async () => {
    await save('k', 1, 'x');
    const mirror = await openMirror();
    const waiting = mirror.reached(10_000n).catch((error) => error.code);
    await mirror.close();
    await mirror.close();
    expect(await waiting).toBe('CLOSED');
    await save('k', 2, 'x');
    expect(shown(mirror.current)).toEqual({ k: 1 });
  });

  test('it never shows half of a save, and ends where the storage ends, under many writers', async () => {
    const mirror = await openMirror(elsewhere(server.connection));
    const pairs = 40;
    let torn = 0;
    mirror.observe((map) => {
      for (let n = 0; n < 4; n++) if (map.get(`l${n}`)?.version !== map.get(`r${n}`)?.version) torn += 1;
    });
    await Promise.all(
      [0, 1, 2, 3].map(async (n) => {
        for (let version = 1; version <= pairs; version++) {
          const payload = Buffer.from(String(version));
          await storage.saveAll([
            { key: `l${n}`, version, payload },
            { key: `r${n}`, version, payload },
          ]);
        }
      }),
    );
    const { revision, heads } = await storage.snapshot();
    await mirror.reached(revision);
    expect(torn).toBe(0);
    expect(shown(mirror.current)).toEqual(shown(heads));
  });
});

describe('through faults', () => {
  const keepSaving = (from: number, count: number, everyMs: number) => async () => {
    for (let n = 0; n < count; n++) {
      await save(`k${n % 7}`, from + Math.floor(n / 7), n % 11 === 10 ? null : String(n));
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  };

  test('its sessions are terminated again and again: nothing is missed', async () => {
    const mirror = await openMirror(elsewhere({ ...server.connection, applicationName: 'victim' } as never));
    const saving = keepSaving(1, 140, 5)();
    for (let kill = 0; kill < 5; kill++) {
      await new Promise((resolve) => setTimeout(resolve, 150));
      await server.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'victim' and pid <> pg_backend_pid()",
      );
    }
    await saving;
    const { revision, heads } = await storage.snapshot();
    await mirror.reached(revision, { signal: AbortSignal.timeout(5_000) });
    expect(shown(mirror.current)).toEqual(shown(new Map([...heads].filter(([, commit]) => !commit.isEmpty))));
  });

  test.each(['refuse', 'blackhole'] as const)(
    'its link fails (%s): whole again within 1 s of the return',
    async (fault) => {
      const proxy = await startProxy(server.connection);
      const mirror = await openMirror(elsewhere({ ...server.connection, port: proxy.port }));
      await mirror.reached((await save('first', 1, 'before')).revision!);
      await proxy[fault]();
      await keepSaving(1, 150, 20)();
      const { revision, heads } = await storage.snapshot();
      expect(mirror.revision).toBeLessThan(revision);
      const returned = performance.now();
      await proxy.restore();
      await mirror.reached(revision, { signal: AbortSignal.timeout(5_000) });
      expect(performance.now() - returned).toBeLessThan(1_000);
      expect(shown(mirror.current)).toEqual(shown(new Map([...heads].filter(([, commit]) => !commit.isEmpty))));
    },
  );

  test('opened while the server is away, it waits for it', async () => {
    const proxy = await startProxy(server.connection);
    await save('k', 1, 'x');
    await proxy.refuse();
    const opening = openMirror(elsewhere({ ...server.connection, port: proxy.port }));
    await new Promise((resolve) => setTimeout(resolve, 300));
    await proxy.restore();
    expect(shown((await opening).current)).toEqual({ k: 1 });
  });

  test('a server that took over without the last commits: they go, and no revision comes back', async () => {
    const embedded = await ownServers({ servers: 1 });
    const primary = embedded.servers[0]!;
    const standby = await embedded.makeStandby(primary);
    const hosts = [primary, standby].map(({ connection }) => `127.0.0.1:${connection.port}`);
    const { host: _host, port: _port, ...rest } = primary.connection as TestDatabase['connection'];
    const connection = { ...rest, hosts } as never;
    const both = elsewhere(connection);
    const journal = new PostgresCommitStorage({ connection: both, table: 't' });
    await journal.start();
    const mirror = await new CommitKeeper({ connection: elsewhere(connection), table: 't' }).mirror();
    onTestFinished(() => mirror.close());
    const payload = Buffer.from('x');
    await journal.save({ key: 'kept', version: 1, payload });
    await waitFor(async () => {
      const replica = new KvDatabase({ connection: standby.connection });
      const rows = await replica.query({ name: 'q', text: 'select revision from hypervault.kv_namespaces' }, []);
      await replica.close();
      return rows.length === 1;
    });
    // From here on the standby learns nothing.
    await standby.stop();
    const lost = await journal.save({ key: 'lost', version: 1, payload });
    await journal.save({ key: 'kept', version: 2, payload });
    await waitFor(() => mirror.current.get('kept')?.version === 2);
    await primary.kill();
    await standby.start();
    await standby.promote();
    await waitFor(() => !mirror.current.has('lost'), { timeoutMs: 10_000 });
    expect(shown(mirror.current)).toEqual({ kept: 1 });
    const after = await journal.save({ key: 'after', version: 1, payload });
    expect(after.revision).toBeGreaterThan(lost.revision! + 1_000n);
    await mirror.reached(after.revision!);
    expect(shown(mirror.current)).toEqual({ kept: 1, after: 1 });
  });
});
