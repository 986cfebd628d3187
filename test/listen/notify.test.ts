import { expect, onTestFinished, test } from 'vitest';
import { InvalidArgumentError, SchemaError } from '../../src/errors.ts';
import { applySchema } from '../../src/internal/migrations.ts';
import { listen, type Notification, notify } from '../../src/listen/index.ts';
import { freshDatabase } from '../support/database.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

const never = {
  query: () => {
    throw new Error('it was sent');
  },
};

test.each([
  ['', 'x'],
  ['c'.repeat(64), 'x'],
  ['c\0', 'x'],
  ['c', 'x'.repeat(8_000)],
  ['c', 'ä'.repeat(4_000)],
  ['c', 'a\0b'],
  ['c', '\udc00'],
  ['c', 5 as unknown as string],
])('case %#: refused before it is sent', async (channel, payload) => {
  expect(await rejection(notify(never, channel, payload))).toBeInstanceOf(InvalidArgumentError);
});

test('payloads up to 7,999 bytes go as they are; larger ones through the table, in order', async () => {
  const database = await freshDatabase();
  const client = await database.client();
  await applySchema(client, { module: 'listen', scope: 'control', schema: 'hypervault' });
  const seen: Notification[] = [];
  const supervisor = await listen({
    connection: database.connection,
    channel: 'big',
    payloads: true,
    execute: ({ notifications }) => void seen.push(...notifications),
  });
  onTestFinished(() => supervisor.terminate());
  await waitFor(() => supervisor.state === 'listening');
  const payloads = ['first', 'x'.repeat(7_999), 'y'.repeat(8_000), 'after', 'ü'.repeat(100_000), 'last'];
  for (const payload of payloads) await notify(client, 'big', payload, { spill: true });
  await waitFor(() => seen.length === payloads.length);
  expect(seen.map(({ payload }) => payload)).toEqual(payloads);
  expect((await client.query('select count(*)::int as n from hypervault.spilled_payloads')).rows).toEqual([{ n: 2 }]);
});

test('old payloads are taken away by later ones', async () => {
  const database = await freshDatabase();
  const client = await database.client();
  await applySchema(client, { module: 'listen', scope: 'control', schema: 'hypervault' });
  const big = 'x'.repeat(9_000);
  for (let i = 0; i < 3; i += 1) await notify(client, 'big', big, { spill: true });
  await client.query(`update hypervault.spilled_payloads set created = now() - interval '2 days'`);
  await notify(client, 'big', big, { spill: true });
  expect((await client.query('select count(*)::int as n from hypervault.spilled_payloads')).rows).toEqual([{ n: 1 }]);
});

test('without the table a large payload says what to do', async () => {
  const client = await (await freshDatabase()).client();
  const error = await rejection(notify(client, 'big', 'x'.repeat(9_000), { spill: true }));
  expect(error).toBeInstanceOf(SchemaError);
});

test('it goes out with the transaction, or not at all', async () => {
  const database = await freshDatabase();
  const client = await database.client();
  const seen: string[] = [];
  client.on('notification', ({ payload }) => seen.push(payload!));
  await client.query('listen c');
  await client.query('begin');
  await notify(client, 'c', 'lost');
  await client.query('rollback');
  await notify(client, 'c', 'kept');
  await waitFor(() => seen.length > 0);
  expect(seen).toEqual(['kept']);
});
