import { expect, test } from 'vitest';
import { install } from '../src/core/index.ts';
import { open } from '../src/vault.ts';
import { freshDatabase, freshDatabases } from './support/database.ts';
import { rejection } from './support/wait-for.ts';

test('one configuration opens datastore, kv and streams, and closes them', async () => {
  const [a, b] = await freshDatabases();
  const control = await freshDatabase();
  const servers = { a: a.connection, b: b.connection, control: control.connection };
  const configuration = { servers, control: 'control', shards: { a: '1-5', b: '5-9' }, kv: {}, streams: {} };
  await install([
    { ...a.connection, name: 'a', shards: '1-5' },
    { ...b.connection, name: 'b', shards: '5-9' },
  ]);
  const vault = await open(configuration);
  const saved = await vault.kv.storage.save({
    key: 'feature.x',
    version: 1,
    payload: Buffer.from('{"on":true}'),
    author: 'me',
    comment: '',
  });
  expect(saved.version).toBe(1);
  expect((await vault.kv.storage.get('feature.x'))?.payload?.toString()).toBe('{"on":true}');
  await vault.streams.publishEvent('orders-7', 'Paid', { body: { total: 5 } });
  expect((await vault.streams.getEvent('orders-7', 0n)).json()).toEqual({ total: 5 });
  await vault.datastore.put(vault.shardFor('acme'), 1, { beep: 'boop' });
  const status = await vault.status();
  expect(Object.keys(status.modules)).toEqual(['kv', 'streams']);
  expect(status.servers.map(({ up }) => up)).toEqual([true, true, true]);
  await vault.close();

  const plain = await open({ servers, shards: configuration.shards });
  expect(() => plain.kv).toThrow(/needs kv/);
  await plain.close();
  expect((await rejection(open({ servers, shards: configuration.shards, kv: {} }))).message).toMatch(/needs control/);
});
