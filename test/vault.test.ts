import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ClosedError, ConfigurationError, install, open } from '../src/index.ts';
import { freshDatabases } from './support/database.ts';
import { waitFor } from './support/wait-for.ts';

/** A configuration of two servers with eight shards each, installed. */
async function installed() {
  const [a, b] = await freshDatabases();
  const servers = { a: a.connection, b: b.connection };
  const shards = { a: '1-5', b: '5-9' };
  await install([
    { ...servers.a, name: 'a', shards: shards.a },
    { ...servers.b, name: 'b', shards: shards.b },
  ]);
  return { servers, shards };
}

describe('open', () => {
  it('opens an object: entities, routing, status', async () => {
    await using vault = await open({ ...(await installed()), slots: 8, firstShard: 1 });
    const key = await vault.datastore.put(vault.shardFor('acme'), 1, { beep: 'boop' });
    expect(await vault.datastore.get(key)).toMatchObject({ kind: 1, body: { beep: 'boop' } });
    expect(key.shardId).toBe(1 + (1_404_888_305 % 8));
    const { servers, pools } = await vault.status();
    expect(servers).toMatchObject([
      { name: 'a', ranges: '1-5', up: true, role: 'primary', shardsReady: 4, shardsMissing: '' },
      { name: 'b', ranges: '5-9', up: true, shardsReady: 4, settings: { slots: 8, firstShard: 1 } },
    ]);
    expect(servers.map(({ problem }) => problem)).toEqual([undefined, undefined]);
    expect(Object.keys(pools)).toEqual(['a', 'b']);
  });

  it('asks a server for the number of slots, and opens also while none can tell it', async () => {
    const { servers, shards } = await installed();
    const away = { gone: { host: '127.0.0.1', port: 1, database: 'app', user: 'app' } };
    await using vault = await open({ servers: { ...servers, ...away }, shards: { ...shards, gone: '9-10' } });
    expect(vault.shardFor('acme')).toBe(1 + (1_404_888_305 % 8));
    const warnings: string[] = [];
    const logger = { debug() {}, info() {}, warn: (_: object, text: string) => warnings.push(text), error() {} };
    const configuration = { servers: away, shards: { gone: '1-9' }, pool: { poolBlockTimeoutMs: 200 } };
    await using lonely = await open(configuration, { logger });
    expect(warnings).toContain('no server told yet how many slots there are');
    expect(() => lonely.shardFor('acme')).toThrow(/routing is not known yet/);
    const aborted = open(configuration, { signal: AbortSignal.abort() });
    await expect(aborted).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('opens a file, with variables of the environment', async () => {
    const { servers, shards } = await installed();
    const folder = await mkdtemp(join(tmpdir(), 'hypervault-vault-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, 'hypervault.yaml');
    process.env.VAULT_TEST_PASSWORD = servers.a.password;
    onTestFinished(() => {
      delete process.env.VAULT_TEST_PASSWORD;
    });
    const withVariable = { ...servers.a, password: `\${VAULT_TEST_PASSWORD}` };
    await writeFile(file, JSON.stringify({ servers: { ...servers, a: withVariable }, shards }));
    await using vault = await open(file);
    const key = await vault.datastore.put(1, 1, { beep: 'boop' });
    expect(await vault.datastore.get(key)).toMatchObject({ body: { beep: 'boop' } });
  });

  it('says in status what is wrong with a server, and which shards are missing', async () => {
    const { servers } = await installed();
    await using vault = await open({
      servers: { ...servers, gone: { host: '127.0.0.1', port: 1 }, spare: servers.b },
      shards: { a: '1-5,9-12', b: '5-9', gone: '20-22' },
      epoch: 5,
      pool: { poolBlockTimeoutMs: 500 },
    });
    const { servers: list } = await vault.status();
    expect(list).toMatchObject([
      {
        name: 'a',
        up: true,
        shardsReady: 4,
        shardsMissing: '9-12',
        problem: { code: 'SCHEMA', message: expect.stringMatching('epoch is 5') },
      },
      { name: 'b', up: true, problem: { code: 'SCHEMA' } },
      { name: 'gone', up: false, problem: { code: 'SERVER_UNAVAILABLE' } },
      { name: 'spare', up: true, ranges: '' },
    ]);
    expect(JSON.stringify(list, (_key, value) => (typeof value === 'bigint' ? String(value) : value))).not.toContain(
      servers.a.password,
    );
  });

  it('runs what a notification wakes', async () => {
    const { servers, shards } = await installed();
    await using vault = await open({ servers, shards, control: 'a', listen: { pollMs: 500 } });
    let runs = 0;
    const supervisor = await vault.listen({ channel: 'jobs', execute: () => void runs++ });
    await waitFor(() => supervisor.state === 'listening' || undefined);
    const before = runs;
    await vault.datastore.withCursor(1, (cursor) => cursor.query("notify jobs, 'x'"));
    await waitFor(() => runs > before || undefined);
  });

  it('needs to know which server to listen on', async () => {
    const { servers, shards } = await installed();
    await using vault = await open({ servers, shards });
    await expect(vault.listen({ channel: 'jobs', execute: () => {} })).rejects.toThrow(/say which server/);
    await expect(vault.listen({ server: 'c', channel: 'jobs', execute: () => {} })).rejects.toThrow(/no server "c"/);
  });

  it('has no datastore without shards, and says so', async () => {
    await using vault = await open({ servers: { a: { host: 'nowhere' } } });
    expect(() => vault.datastore).toThrow(ConfigurationError);
    expect(() => vault.shardFor('x')).toThrow(/this needs shards/);
  });

  it('is closed once, and refuses work afterwards', async () => {
    const vault = await open(await installed());
    await vault.datastore.put(1, 1, {});
    const datastore = vault.datastore;
    await Promise.all([vault.close(), vault.close()]);
    expect(() => vault.datastore).toThrow(ClosedError);
    await expect(datastore.put(1, 1, {})).rejects.toThrow(ClosedError);
    await expect(vault.status()).rejects.toThrow(ClosedError);
  });
});
