import { expect, test } from 'vitest';
import { checkServer, Datastore, install, shardFor } from '../../src/core/index.ts';
import { PermissionError, SchemaError } from '../../src/errors.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { rejection } from '../support/wait-for.ts';

const EPOCH = 1_379_365_531_352;
const EXPECTED = { epoch: EPOCH, schemaPrefix: 'shard' };

async function installed(): Promise<TestDatabase> {
  const db = await freshDatabase();
  await install([{ ...db.connection, shards: '1-9' }]);
  return db;
}

test('reads what was fixed, and where the schema stands', async () => {
  const db = await installed();
  const settings = await checkServer(await db.client(), EXPECTED, 'main');
  expect(settings).toEqual({
    installed: true,
    epoch: EPOCH,
    slots: 8,
    firstShard: 1,
    schemaPrefix: 'shard',
    modules: { core: { server: { release: 1, version: 2 } } },
  });
  await checkServer(await db.client(), { ...EXPECTED, slots: 8, firstShard: 1, modules: ['core'] }, 'main');
});

test('other settings are refused, naming the server, both values and what to do', async () => {
  const client = await (await installed()).client();
  for (const [other, message] of [
    [{ epoch: 0 }, 'main: epoch is 0 here and 1379365531352 on the server'],
    [{ slots: 16 }, 'main: slots is 16 here and 8 on the server'],
    [{ firstShard: 0 }, 'main: firstShard is 0 here and 1 on the server'],
    [{ schemaPrefix: 'part' }, 'main: schemaPrefix is "part" here and "shard" on the server'],
  ] as const) {
    const error = await rejection(checkServer(client, { ...EXPECTED, ...other }, 'main'));
    expect(error).toBeInstanceOf(SchemaError);
    expect(error.message).toBe(`${message}, where it was fixed at install; set ${Object.keys(other)[0]} to that`);
  }
});

test('an epoch of zero in the code does not pass for none', async () => {
  const db = await freshDatabase();
  await install([{ ...db.connection, shards: '1-2' }], { epoch: 0 });
  expect((await checkServer(await db.client(), { ...EXPECTED, epoch: 0 }, 'main')).epoch).toBe(0);
  const store = new Datastore([{ ...db.connection, shards: '1-2' }]);
  expect(await rejection(store.put(1, 1, {}))).toBeInstanceOf(SchemaError);
  await store.disconnect();
});

test('a server that is not installed, or lacks a module, is refused', async () => {
  const empty = await (await freshDatabase()).client();
  const error = await rejection(checkServer(empty, EXPECTED, 'main'));
  expect(error).toBeInstanceOf(SchemaError);
  expect(error.message).toMatch(/^main: not installed; run hypervault init/);
  await empty.query('create schema hypervault');
  expect(await rejection(checkServer(empty, EXPECTED, 'main'))).toBeInstanceOf(SchemaError);
});

test('the release of the schema must be ours or the one before', async () => {
  const db = await installed();
  const client = await db.client();
  for (const [release, message] of [
    [2, /is of release 2 and this program knows 1; upgrade pg-hypervault/],
    [3, /is of release 3/],
  ] as const) {
    await db.query('update hypervault.ledger set release = $1', [release]);
    const error = await rejection(checkServer(client, EXPECTED, 'main'));
    expect(error).toBeInstanceOf(SchemaError);
    expect(error.message).toMatch(message);
  }
  await db.query(`update hypervault.ledger set module = 'other', release = 1`);
  expect((await rejection(checkServer(client, EXPECTED, 'main'))).message).toMatch(
    /^main: the module core is not installed/,
  );
});

test('a role that may not look is told the grants', async () => {
  const db = await installed();
  const role = `stranger_${process.pid}`;
  await db.query(`create role ${role}`);
  const client = await db.client();
  await client.query(`set role ${role}`);
  const error = await rejection(checkServer(client, EXPECTED, 'main'));
  expect(error).toBeInstanceOf(PermissionError);
  expect(error.message).toMatch(/^main: permission denied for schema hypervault; run sql\/core\/server\/grants\.sql/);
  await client.query('reset role');
  await db.query(`drop role ${role}`);
});

test('SQL computes the shard of a routing key as TypeScript does', async () => {
  const db = await installed();
  const keys = ['', 'acme', 'Ünïcode 😀', 'a'.repeat(10_000), "it's", '\\'];
  const { rows } = await db.query('select hypervault.shard_for(key) as shard from unnest($1::text[]) as key', [keys]);
  expect(rows.map(({ shard }) => shard)).toEqual(keys.map((key) => shardFor(key, { slots: 8, firstShard: 1 })));
});
