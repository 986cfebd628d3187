import pg from 'pg';
import { expect, test } from 'vitest';
import { checkServer, Datastore, type InstallProgress, install, type ServerSettings } from '../../src/core/index.ts';
import { ConfigurationError, PermissionError, SchemaError, ServerUnavailableError } from '../../src/errors.ts';
import { freshDatabase, freshDatabases, type TestDatabase } from '../support/database.ts';
import { rejection } from '../support/wait-for.ts';

const EPOCH = 1_379_365_531_352;

async function settingsOf(db: TestDatabase): Promise<ServerSettings> {
  return checkServer(await db.client(), { epoch: EPOCH, schemaPrefix: 'shard' }, 'test');
}

async function schemas(db: TestDatabase): Promise<string[]> {
  const { rows } = await db.query(
    `select nspname from pg_namespace where nspname like 'shard%' or nspname = 'hypervault' order by 1`,
  );
  return rows.map(({ nspname }) => nspname);
}

test('makes servers and shards, tells how far it is, and does nothing the second time', async () => {
  const [a, b] = await freshDatabases();
  const connections = [
    { ...a.connection, name: 'a', shards: '1-4' },
    { ...b.connection, name: 'b', shards: '4-6,6-9' },
  ];
  const seen: InstallProgress[] = [];
  const result = await install(connections, { onProgress: (progress) => seen.push(progress) });
  expect(result).toEqual({
    epoch: EPOCH,
    schemaPrefix: 'shard',
    slots: 8,
    firstShard: 1,
    servers: [
      { name: 'a', shards: 3, changed: 3 },
      { name: 'b', shards: 5, changed: 5 },
    ],
  });
  expect(await schemas(a)).toEqual(['hypervault', 'shard0001', 'shard0002', 'shard0003']);
  expect(seen.map(({ done }) => done).at(-1)).toBe(8);
  expect(
    seen
      .filter(({ shardId }) => shardId === undefined)
      .map(({ server }) => server)
      .sort(),
  ).toEqual(['a', 'b']);
  expect(
    seen
      .map(({ shardId }) => shardId)
      .filter((id) => id !== undefined)
      .sort(),
  ).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  expect(seen.every(({ total, rate }) => total === 8 && rate >= 0)).toBe(true);
  expect((await settingsOf(b)).slots).toBe(8);

  const again = await install(connections, { onProgress: ({ changed }) => expect(changed).toBe(false) });
  expect(again.servers.map(({ changed }) => changed)).toEqual([0, 0]);
  expect(again).toMatchObject({ slots: 8, firstShard: 1 });
});

test('goes on where it was interrupted', async () => {
  const db = await freshDatabase();
  const connections = [{ ...db.connection, shards: '1-41' }];
  const stop = new AbortController();
  const error = await rejection(
    install(connections, {
      signal: stop.signal,
      onProgress: ({ done }) => done === 7 && stop.abort(new Error('enough')),
    }),
  );
  expect(error).toMatchObject({ code: 'ABORTED', cause: { message: 'enough' } });
  const made = (await schemas(db)).length;
  expect(made).toBeGreaterThan(7);
  expect(made).toBeLessThan(20);
  const { servers } = await install(connections);
  expect(servers[0]!.changed).toBeLessThanOrEqual(33);
  expect(await schemas(db)).toHaveLength(41);
});

test('four at once make everything once', async () => {
  const [a, b] = await freshDatabases();
  const connections = [
    { ...a.connection, shards: '1-9' },
    { ...b.connection, shards: '9-17' },
  ];
  const results = await Promise.all([1, 2, 3, 4].map((concurrency) => install(connections, { concurrency })));
  const changed = results.flatMap(({ servers }) => servers.map((server) => server.changed));
  expect(changed.reduce((sum, count) => sum + count, 0)).toBe(16);
  const db = new Datastore(connections);
  const keys = await Promise.all(Array.from({ length: 16 }, (_, place) => db.put(place + 1, 1, { place: `${place}` })));
  expect((await db.getMany(keys)).map((entity) => entity?.body.place)).toEqual(keys.map((_, place) => `${place}`));
  await db.disconnect();
});

test('512 shards on one server are ready in seconds', { timeout: 90_000 }, async () => {
  const db = await freshDatabase();
  const started = performance.now();
  await install([{ ...db.connection, shards: '0-512' }]);
  const seconds = (performance.now() - started) / 1000;
  // 4 to 5 s on two cores left alone; the bound leaves room for whatever else the machine does.
  expect(seconds).toBeLessThan(45);
});

test('what is fixed holds for every server, also for one that comes later', async () => {
  const [a, b] = await freshDatabases();
  const first = [{ ...a.connection, shards: '1-9' }];
  const both = [...first, { ...b.connection, shards: '9-17' }];
  await install(first, { slots: 64, firstShard: 1 });
  expect(await install(both)).toMatchObject({ slots: 64, firstShard: 1 });
  expect(await settingsOf(b)).toMatchObject({ slots: 64, firstShard: 1 });
  for (const other of [{ slots: 32, firstShard: 1 }, { epoch: 0 }, { schemaPrefix: 'part' }]) {
    const error = await rejection(install(both, other));
    expect(error).toBeInstanceOf(SchemaError);
    expect(error.message).toMatch(/was fixed at .* and can't become/);
  }
  expect(await schemas(b)).toHaveLength(9);
});

test('servers of two installations don’t mix, and nothing is done to either', async () => {
  const [a, b] = await freshDatabases();
  await install([{ ...a.connection, shards: '1-3' }], { epoch: 1_000 });
  await install([{ ...b.connection, shards: '3-5' }]);
  const error = await rejection(
    install([
      { ...a.connection, shards: '1-4' },
      { ...b.connection, shards: '4-5' },
    ]),
  );
  expect(error).toBeInstanceOf(SchemaError);
  expect(error.message).toMatch(/epoch is fixed at 1000 on .* and at 1379365531352 on /);
  expect(await schemas(a)).toEqual(['hypervault', 'shard0001', 'shard0002']);
});

test('shards with a gap leave the slots open until they are given', async () => {
  const db = await freshDatabase();
  const connections = [{ ...db.connection, shards: '1-3,5-7' }];
  expect(await install(connections)).toMatchObject({ slots: undefined, firstShard: undefined });
  expect((await db.query(`select hypervault.shard_for('acme') as shard`)).rows).toEqual([{ shard: null }]);
  expect(await install(connections, { slots: 16, firstShard: 1 })).toMatchObject({ slots: 16, firstShard: 1 });
  expect((await db.query(`select hypervault.shard_for('acme') as shard`)).rows).toEqual([{ shard: 2 }]);
  const fixed = await rejection(db.query('select hypervault.fix_routing(8, 1)'));
  expect(fixed).toMatchObject({ code: 'SV005', detail: '{"slots" : 16, "firstShard" : 1}' });
});

test('other epochs and prefixes work from end to end', async () => {
  const db = await freshDatabase();
  const epoch = Date.UTC(2024, 0, 1);
  const connections = [{ ...db.connection, shards: '0-2' }];
  await install(connections, { epoch, schemaPrefix: 'part_' });
  const store = new Datastore(connections, { epoch, schemaPrefix: 'part_' });
  const key = await store.put(0, 1, { a: 'b' });
  expect(Math.abs(key.created.getTime() - Date.now())).toBeLessThan(5_000);
  expect(key.shardId).toBe(0);
  await store.disconnect();
});

test('a shard that belongs to another server is refused', async () => {
  const db = await freshDatabase();
  await install([{ ...db.connection, shards: '1-3' }]);
  await install([{ ...db.connection, name: 'eu1', shards: '1-3' }]);
  const { rows } = await db.query('select server, epoch from shard0001.hv_owner');
  expect(rows).toEqual([{ server: 'eu1', epoch: '0' }]);
  const error = await rejection(install([{ ...db.connection, name: 'eu2', shards: '1-3' }]));
  expect(error).toBeInstanceOf(SchemaError);
  expect(error.message).toMatch(/^eu2: shard [12] is here, but belongs to the server "eu1"/);
});

test('wrong options are refused before anything is reached', async () => {
  const nowhere = [{ host: '127.0.0.1', port: 1, shards: '1-9' }];
  for (const [options, message] of [
    [{ concurency: 3 }, /did you mean "concurrency"/],
    [{ concurrency: 0 }, /concurrency must be/],
    [{ epoch: -1 }, /epoch must be/],
    [{ epoch: 1.5 }, /epoch must be/],
    [{ slots: 8 }, /slots and firstShard together/],
    [{ slots: 8192, firstShard: 1 }, /reach past shard 8191/],
    [{ schemaPrefix: 'Shard' }, /schemaPrefix must be/],
    [{ modules: ['kv'] }, /begins with 'core'/],
    [{ grantTo: 'app' }, /list of role names/],
  ] as const) {
    const error = await rejection(install(nowhere, options as never));
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error.message).toMatch(message);
  }
  expect((await rejection(install([{ ...nowhere[0]!, shards: '9-1' }]))).message).toMatch(/reversed/);
  expect(await rejection(install(nowhere))).toBeInstanceOf(ServerUnavailableError);
});

test('one server down: nothing is done to the other one', async () => {
  const db = await freshDatabase();
  const error = await rejection(
    install([
      { ...db.connection, shards: '1-3' },
      { ...db.connection, port: 1, shards: '3-5' },
    ]),
  );
  expect(error).toBeInstanceOf(ServerUnavailableError);
  expect(await schemas(db)).toEqual([]);
});

test('a database that is not in UTF-8 is refused', async () => {
  const db = await freshDatabase();
  const database = `${db.connection.database}_latin`;
  await db.query(`create database ${database} encoding 'LATIN1' locale 'C' template template0`);
  try {
    const error = await rejection(install([{ ...db.connection, database, shards: '1-2' }]));
    expect(error).toBeInstanceOf(SchemaError);
    expect(error.message).toMatch(/is in LATIN1; make one with encoding 'UTF8'/);
  } finally {
    await db.query(`drop database ${database}`);
  }
});

test('a changed file and a newer schema are refused, naming the server', async () => {
  const db = await freshDatabase();
  const connections = [{ ...db.connection, name: 'main', shards: '1-3' }];
  await install(connections);
  await db.query(`update shard0002.hv_ledger set hash = repeat('0', 64) where name = '002-entities.sql'`);
  const changed = await rejection(install(connections));
  expect(changed).toBeInstanceOf(SchemaError);
  expect(changed.message).toMatch(/^main: sql\/core\/shard\/002-entities\.sql was changed after it ran in shard0002/);
  await db.query(`update hypervault.ledger set release = 2`);
  const newer = await rejection(install(connections));
  expect(newer.message).toMatch(/^main: hypervault is of schema release 2 and this program knows only 1/);
});

test('hstore is found in whatever schema it is', async () => {
  const db = await freshDatabase();
  await db.query('create schema "Odd extensions"; alter extension hstore set schema "Odd extensions"');
  await install([{ ...db.connection, shards: '1-2' }]);
  const store = new Datastore([{ ...db.connection, shards: '1-2' }]);
  const key = await store.put(1, 1, { a: 'b' });
  expect((await store.get(key))?.body).toEqual({ a: 'b' });
  await store.disconnect();
});

test('a machine without hstore is refused, saying what to install', async () => {
  const db = await freshDatabase();
  await db.query('drop extension hstore');
  await db.query(`alter database ${db.connection.database} set extension_control_path to '/nowhere'`);
  const error = await rejection(install([{ ...db.connection, shards: '1-2' }]));
  expect(error).toBeInstanceOf(SchemaError);
  expect(error.message).toMatch(/hstore is not installed on the machine .*postgresql-contrib/);
  expect(await schemas(db)).toEqual([]);
});

test('without the right to make schemas the error names the grant; with it, no superuser is needed', async () => {
  const db = await freshDatabase();
  await db.query('drop extension hstore');
  const role = `Owner ${process.pid}`;
  const connections = [{ ...db.connection, user: role, password: 'o', shards: '1-3' }];
  await db.query(`create role "${role}" login password 'o'`);
  try {
    const error = await rejection(install(connections));
    expect(error).toBeInstanceOf(PermissionError);
    expect(error.message).toMatch(/may not make schemas; a superuser may run: (grant .*)$/);
    await db.query(/run: (grant .*)$/.exec(error.message)![1]!);
    expect((await install(connections)).servers[0]!.changed).toBe(2);
    const store = new Datastore(connections);
    expect((await store.put(2, 1, { a: 'b' })).shardId).toBe(2);
    await store.disconnect();
  } finally {
    await db.query(`drop owned by "${role}" cascade; drop role "${role}"`);
  }
});

test('an app role gets what it needs and no more', async () => {
  const db = await freshDatabase();
  const role = `App ${process.pid}`;
  await db.query(`create role "${role}" login password 'a'`);
  const connections = [{ ...db.connection, shards: '1-3' }];
  const asApp = [{ ...connections[0]!, user: role, password: 'a' }];
  try {
    await install(connections);
    const before = new Datastore(asApp);
    const refused = await rejection(before.put(1, 1, { a: 'b' }));
    expect(refused).toBeInstanceOf(PermissionError);
    expect(refused.message).toMatch(/grants\.sql|grantTo/);
    await before.disconnect();

    await install(connections, { grantTo: [role] });
    await install(connections, { grantTo: [role] });
    const store = new Datastore(asApp);
    const key = await store.put(1, 1, { a: 'b' });
    expect((await store.get(key))?.body).toEqual({ a: 'b' });
    await store.update(key, { a: 'c' });
    expect(await store.reserveKeys(2, 3)).toHaveLength(3);
    await store.remove(key);
    await store.disconnect();

    const client = new pg.Client({ ...db.connection, user: role, password: 'a' });
    await client.connect();
    for (const sql of [
      'create table shard0001.mine ()',
      'drop table shard0001.entities',
      'truncate shard0001.entities',
      'alter sequence shard0001.table_id_seq restart',
      `update shard0001.hv_owner set server = 'me'`,
      `update hypervault.settings set epoch = 0`,
      'delete from hypervault.ledger',
      'delete from shard0001.hv_ledger',
      'select hypervault.fix_routing(3, 3)',
      'create table hypervault.mine ()',
    ]) {
      expect((await rejection(client.query(sql))).code, sql).toMatch(/42501|SV005/);
    }
    await client.end();
    const missing = await rejection(install(connections, { grantTo: ['nobody here'] }));
    expect(missing).toBeInstanceOf(SchemaError);
    expect(missing.message).toMatch(/role "nobody here" does not exist; grantTo names roles that exist/);
  } finally {
    await db.query(`drop owned by "${role}"; drop role "${role}"`);
  }
});
