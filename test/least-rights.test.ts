// All that an app does, done as a role with nothing but the rights of `grantTo`.
import pg from 'pg';
import { expect, test } from 'vitest';
import { readConfiguration } from '../src/config/index.ts';
import { LeaderLease, notify, PostgresConnector } from '../src/listen/index.ts';
import { NewEvent } from '../src/streams/index.ts';
import { open, type Vault } from '../src/vault.ts';
import { installVault } from '../src/vault-install.ts';
import { freshDatabase, freshDatabases } from './support/database.ts';
import { waitFor } from './support/wait-for.ts';

type Orders = { orders: { id: bigint; total: string } };
type Connection = Awaited<ReturnType<typeof freshDatabase>>['connection'];

test('a role with the rights of grantTo runs datastore, kv, streams and listen, and no more', async () => {
  const [a, b] = await freshDatabases();
  const control = await freshDatabase();
  const role = `app_${control.connection.database}`;
  const app = { user: role, password: 'only for the test' };
  const configurationAs = (as: object): Parameters<typeof open>[0] => ({
    servers: {
      a: { ...a.connection, ...as },
      b: { ...b.connection, ...as },
      control: { ...control.connection, ...as },
    },
    control: 'control',
    shards: { a: '1-5', b: '5-9' },
    kv: {},
    streams: {},
    listen: {},
  });
  // Roles belong to a server; the control database is on the first one.
  for (const { query } of [a, b]) await query(`create role ${role} login password '${app.password}'`);
  try {
    await installVault(await readConfiguration(configurationAs({}), process.env), { grantTo: [role] });
    await a.query(`create table shard0002.orders (id bigint primary key default shard0002.next_id(), total text);
                   grant select, insert, update, delete on shard0002.orders to ${role}`);
    await using vault = await open<Orders>(configurationAs(app));
    await useDatastore(vault);
    await useKv(vault);
    await useStreams(vault);
    await useListen(vault, { ...control.connection, ...app });
    for (const [connection, statement] of [
      [a.connection, "select setval('shard0001.table_id_seq', 1)"],
      [a.connection, "update shard0001.hv_owner set server = 'me'"],
      [a.connection, 'create table shard0001.mine ()'],
      [a.connection, 'truncate shard0001.hv_events'],
      [control.connection, 'truncate hypervault.kv_commits'],
      [control.connection, 'create table hypervault.mine ()'],
    ] as const) {
      expect([statement, await refusal({ ...connection, ...app }, statement)]).toEqual([statement, '42501']);
    }
  } finally {
    for (const { query } of [a, b, control]) await query(`drop owned by ${role}`);
    for (const { query } of [a, b]) await query(`drop role ${role}`);
  }
});

async function useDatastore({ datastore }: Vault<Orders>): Promise<void> {
  const key = await datastore.put(1, 1, { beep: 'boop' });
  expect((await datastore.update(key, { beep: 'bap' }))?.body).toEqual({ beep: 'bap' });
  const [reserved] = await datastore.reserveKeys(5, 1);
  await datastore.put(5, 1, { a: 'b' }, { key: reserved });
  await datastore.putMany(6, 2, [{ a: 'b' }, { a: 'c' }]);
  const found = [];
  for await (const { body } of datastore.find({ kind: 2 })) found.push(body);
  expect(found).toEqual([{ a: 'b' }, { a: 'c' }]);
  expect(await datastore.remove(key)).toBe(true);
  const order = await datastore.table('orders').insert({ total: '5' }, { shardId: 2 });
  expect((await datastore.table('orders').get(order.id))?.total).toBe('5');
}

async function useKv({ kv }: Vault<Orders>): Promise<void> {
  const mirror = await kv.mirror();
  await kv.save({ key: 'limits', version: 1, payload: Buffer.from('1'), author: 'me', comment: '' });
  await kv.update('limits', (value) => Buffer.concat([value ?? Buffer.of(), Buffer.from('1')]), { author: 'me' });
  await waitFor(() => mirror.current.get('limits')?.version === 2);
  await kv.rollback('limits', 1);
  expect(await kv.history('limits')).toHaveLength(3);
  for await (const { version } of kv.watch({ after: 0n })) if (version === 3) break;
}

async function useStreams({ streams }: Vault<Orders>): Promise<void> {
  const events = [1, 2, 3].map((body) => new NewEvent('T', { body }));
  await streams.publish('orders-7', events);
  expect((await streams.get('orders-7')).events).toHaveLength(3);
  for await (const { type } of streams.iterAll()) expect(type).toBe('T');
  await streams.createSubscription('mailer', 'orders-7', { startFrom: 0n });
  const subscription = await streams.connectSubscription('mailer', 'orders-7');
  let seen = 0;
  for await (const event of subscription.events) {
    if (event.eventNumber === 1n) await subscription.nack(event, 'park');
    else await subscription.ack(event);
    seen += 1;
    if (seen === 3) break;
  }
  await subscription.close();
  await streams.replayParked('mailer', 'orders-7');
  await streams.deleteSubscription('mailer', 'orders-7');
  await streams.setRetention('orders-7', { maxCount: 1 });
  await streams.scavenge();
  await streams.deleteStream('orders-7');
}

async function useListen(vault: Vault<Orders>, control: Connection): Promise<void> {
  const payloads: string[] = [];
  const supervisor = await vault.listen({
    channel: 'big',
    payloads: true,
    execute: async ({ notifications }) => void payloads.push(...notifications.map(({ payload }) => payload)),
  });
  await waitFor(() => supervisor.state === 'listening');
  const connector = new PostgresConnector(control);
  await notify(connector, 'big', 'y'.repeat(8_000), { spill: true });
  await waitFor(() => payloads.length === 1);
  const lease = new LeaderLease(control, { name: 'mail' });
  const elected = new Promise((resolve) => lease.once('elected', resolve));
  lease.start();
  await elected;
  await lease.close();
  await connector.disconnect();
  await supervisor.terminate();
}

async function refusal(connection: Connection, statement: string): Promise<string | undefined> {
  const client = new pg.Client(connection);
  await client.connect();
  try {
    return await client.query(statement).then(
      () => 'allowed',
      ({ code }: pg.DatabaseError) => code,
    );
  } finally {
    await client.end();
  }
}
