import { createServer } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { jsonCodec, MemoryCommitStorage, openKv } from '../../src/kv/index.ts';
import { freshDatabase } from '../support/database.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

interface Limits {
  readonly max: number;
}
const codec = jsonCodec<Limits>();

test('wires journal, keeper, mirror and publisher; values go in and come out', async () => {
  const server = await freshDatabase();
  await using kv = await openKv({ connection: server.connection, codec });
  const mirror = await kv.mirror();
  const saved = await kv.update('limits', (limits) => ({ max: (limits?.max ?? 0) + 5 }), {
    author: 'ann',
    comment: 'up',
  });
  expect(saved).toMatchObject({ key: 'limits', version: 1, author: 'ann', comment: 'up' });
  await kv.update('limits', (limits) => ({ max: limits!.max * 2 }));
  expect(await kv.value('limits')).toEqual({ max: 10 });
  await mirror.reached((await kv.get('limits'))!.revision!);
  expect(mirror.current.get('limits')?.valueOption).toEqual({ max: 10 });
  expect((await kv.history('limits')).map(({ valueOption }) => valueOption)).toEqual([{ max: 10 }, { max: 5 }]);
  expect(await kv.rollback('limits', 1, { author: 'ann' })).toEqual([{ key: 'limits', from: 2, to: 1, version: 3 }]);
  expect(await kv.value('limits')).toEqual({ max: 5 });
  await kv.update('limits', () => null);
  expect(await kv.value('limits')).toBeUndefined();
  expect(await kv.update('limits', () => undefined)).toBeNull();
  expect(kv.status()).toMatchObject({ table: 'kv', mirrors: [{}], publisher: { passes: 0 } });
  await mirror.close();
  expect(kv.status().mirrors).toEqual([]);
});

test('many updates of one key at once all count', async () => {
  const server = await freshDatabase();
  await using kv = await openKv({ connection: server.connection, codec, autoPublish: false });
  const up = () => kv.update('n', (n) => ({ max: (n?.max ?? 0) + 1 }), { maxAttempts: 100 });
  await Promise.all(Array.from({ length: 12 }, up));
  expect(await kv.value('n')).toEqual({ max: 12 });
  const conflict = kv.update(
    'n',
    async (n, head) => {
      await kv.save({ key: 'n', version: head!.version + 1, payload: Buffer.from('{"max":0}') });
      return n;
    },
    { maxAttempts: 3 },
  );
  expect((await rejection(conflict)).code).toBe('COMMIT_ORDERING');
});

test('hooks: before refuses, after is told; both also over HTTP', async () => {
  const server = await freshDatabase();
  const told: string[] = [];
  await using kv = await openKv({
    connection: server.connection,
    codec,
    autoPublish: false,
    onBeforeSave: ({ valueOption }) => {
      if ((valueOption?.max ?? 0) > 100) throw new Error('at most 100');
    },
    onAfterSave: ({ key, version }) => void told.push(`${key}${version}`),
  });
  expect((await rejection(kv.update('k', () => ({ max: 101 })))).code).toBe('COMMIT_REFUSED');
  await kv.update('k', () => ({ max: 100 }));
  const http = createServer(kv.server({ mirror: await kv.mirror() }));
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void http.close());
  const { port } = http.address() as { port: number };
  const url = `http://127.0.0.1:${port}/k`;
  const save = (version: number, body: string) =>
    fetch(`${url}/${version}`, { method: 'POST', headers: { 'X-Rainer-Author': 'me' }, body });
  const refused = await save(2, '{"max":200}');
  expect([refused.status, await refused.text()]).toEqual([400, 'at most 100']);
  expect((await save(2, '{"max":3}')).status).toBe(200);
  expect(told).toEqual(['k1', 'k2']);
  await waitFor(async () => {
    const answer = await fetch(url);
    return answer.headers.get('x-rainer-cached') === 'Yes' && (await answer.text()) === '{"max":3}';
  });
  http.closeAllConnections();
});

test('a journal of another kind is published at once, and by the publisher', async () => {
  const server = await freshDatabase();
  const storage = new MemoryCommitStorage({ codec });
  await storage.save({ key: 'before', version: 1, payload: Buffer.from('{"max":1}') });
  await using kv = await openKv({
    connection: server.connection,
    codec,
    storage,
    autoPublish: { periodMs: 50, delay: false },
  });
  const mirror = await kv.mirror();
  await kv.save({ key: 'now', version: 1, payload: Buffer.from('{"max":2}') });
  await waitFor(() => mirror.current.size === 2);
  expect(kv.journal).toBeDefined();
});

test('codecs by name, for configuration files', async () => {
  const server = await freshDatabase();
  await using kv = await openKv<Record<string, unknown>>({
    connection: server.connection,
    codec: 'json-object',
    autoPublish: false,
  });
  await kv.update('k', () => ({ a: 1 }));
  expect(await kv.value('k')).toEqual({ a: 1 });
});

test.each([
  [{}, /"connection" is missing/],
  [{ connection: 'postgres://x', tabel: 'x' }, /openKv options: unknown key "tabel"; did you mean "table"/],
  [{ connection: 'postgres://x', codec: 'yaml' }, /option "codec" must be/],
  [{ connection: 7 }, /"connection" must be/],
])('a wrong option is told: %j', async (options, expected) => {
  const error = await rejection(openKv(options as never));
  expect(error.code).toBe('CONFIGURATION');
  expect(error.message).toMatch(expected);
});

test('a server that is away, a database that is missing', async () => {
  const away = await rejection(openKv({ connection: { host: '127.0.0.1', port: 1, connectTimeoutMs: 200 } }));
  expect(away.code).toBe('SERVER_UNAVAILABLE');
  const server = await freshDatabase();
  const missing = await rejection(openKv({ connection: { ...server.connection, database: 'nope' } }));
  expect(missing.code).toBe('CONFIGURATION');
  const bare = await rejection(openKv({ connection: server.connection, install: false }));
  expect(bare.code).toBe('SCHEMA');
});
