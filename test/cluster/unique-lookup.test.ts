import { expect, onTestFinished, test } from 'vitest';
import { type UniqueLookup, type UniqueLookupOptions, uniqueLookup } from '../../src/cluster/index.ts';
import { Datastore, type Entity, install, type Key } from '../../src/core/index.ts';
import { freshDatabases } from '../support/database.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

const USER = 1;

async function setting(options: Partial<UniqueLookupOptions<Entity>> = {}) {
  const [a, b] = await freshDatabases();
  const connections = [
    { ...a.connection, name: 'a', shards: '1-3' },
    { ...b.connection, name: 'b', shards: '3-5' },
  ];
  await install(connections, { modules: ['core', 'cluster'] });
  const db = await new Datastore(connections).connect();
  onTestFinished(() => db.disconnect({ deadlineMs: 1_000 }));
  const emails = uniqueLookup<Entity>(db, {
    name: 'user.email',
    valueIn: ({ body }) => body.email,
    normalize: (text) => text.toLowerCase(),
    ...options,
  });
  const insert = (email: string, shardId = 1): Promise<Key> =>
    emails.insert(email, shardId, (key) => db.put(shardId, USER, { email }, { key }));
  return { a, b, db, emails, insert };
}

const keyOf = async (emails: UniqueLookup<Entity>, email: string): Promise<string | undefined> =>
  (await emails.find(email))?.key.toString();

test('of many who want a value at once one gets it, and is found by it from anywhere', async () => {
  const { db, emails, insert } = await setting();
  const outcomes = await Promise.allSettled(
    Array.from({ length: 20 }, (_, n) => insert(n % 2 ? 'Ada@example.org' : 'ada@EXAMPLE.org', 1 + (n % 4))),
  );
  const won = outcomes.filter((outcome) => outcome.status === 'fulfilled');
  expect(won).toHaveLength(1);
  const { value: key } = won[0] as PromiseFulfilledResult<Key>;
  const lost = outcomes.find((outcome) => outcome.status === 'rejected') as PromiseRejectedResult;
  expect(lost.reason).toMatchObject({ code: 'LOOKUP_TAKEN', lookup: 'user.email', value: 'ada@example.org', key });
  expect(await keyOf(emails, 'ADA@example.org')).toBe(key.toString());
  let rows = 0;
  for await (const _ of db.scan()) rows += 1;
  expect(rows).toBe(1);
  expect(await emails.find('nobody@example.org')).toBeNull();
  // The values lie where their hash says, not where the rows are.
  await Promise.all(Array.from({ length: 40 }, (_, n) => insert(`user${n}@example.org`, 2)));
  const counts = await db.across<{ n: bigint }>('select count(*) as n from hv_lookup');
  expect(counts.rows.filter(({ n }) => Number(n) > 0)).toHaveLength(4);
});

test('change and removal give the old value up', async () => {
  const { db, emails, insert } = await setting();
  const ada = await insert('ada@x');
  await insert('bob@x', 3);
  expect((await rejection(emails.change(ada, 'ada@x', 'bob@x', () => db.update(ada, {})))).code).toBe('LOOKUP_TAKEN');
  await emails.change(ada, 'ada@x', 'ada@y', () => db.update(ada, { email: 'ada@y' }));
  expect([await keyOf(emails, 'ada@x'), await keyOf(emails, 'ada@y')]).toEqual([undefined, ada.toString()]);
  await emails.change(ada, 'ada@y', 'Ada@Y', () => db.update(ada, { email: 'Ada@Y' }));
  const heir = await insert('ada@x', 4);
  await emails.remove(ada, 'ada@y', () => db.remove(ada));
  expect([await keyOf(emails, 'ada@x'), await keyOf(emails, 'ada@y')]).toEqual([heir.toString(), undefined]);
  await insert('ada@y');
});

test('what a crash leaves is seen through, left to its writer for a while, then anybody’s', async () => {
  const { db, emails, insert } = await setting();
  // The same lookup, for somebody who leaves an orphan to its writer for a moment only.
  const hasty = uniqueLookup<Entity>(db, {
    name: 'user.email',
    valueIn: ({ body }) => body.email,
    normalize: (text) => text.toLowerCase(),
    graceMs: 100,
  });
  const crash = new Error('the process is gone');
  const dies = (email: string) => rejection(emails.insert(email, 1, () => Promise.reject(crash)));
  expect(await dies('ada@x')).toBe(crash);
  expect(await emails.find('ada@x')).toBeNull();
  expect((await rejection(insert('ada@x', 2))).code).toBe('LOOKUP_TAKEN');
  const takeOver = () => hasty.insert('ada@x', 2, (key) => db.put(2, USER, { email: 'ada@x' }, { key }));
  const key = await waitFor(() => takeOver().catch(() => undefined));
  expect(await keyOf(emails, 'ada@x')).toBe(key.toString());

  // Orphans of every kind: a writer, a change and a removal that died in between.
  await dies('one@x');
  const two = await insert('two@x');
  await rejection(emails.change(two, 'two@x', 'three@x', () => Promise.reject(crash)));
  const four = await insert('four@x');
  await db.remove(four);
  const five = await insert('five@x');
  await db.update(five, { email: 'six@x' });
  expect(await emails.repair()).toEqual({ looked: 6, removed: 0 });
  await waitFor(async () => (await hasty.repair()).looked === 2);
  expect([await keyOf(emails, 'ada@x'), await keyOf(emails, 'two@x')]).toEqual([key.toString(), two.toString()]);
});

test('a write that the server refused gives the value back at once', async () => {
  const { db, emails, insert } = await setting();
  const refused = emails.insert('ada@x', 1, (key) => db.put(1, USER, { email: 5 as never }, { key }));
  expect((await rejection(refused)).code).toBe('INVALID_BODY');
  const inSql = emails.insert('ada@x', 1, () => db.withCursor(1, (cursor) => cursor.query('select 1 / 0')));
  expect((await rejection(inSql)).code).toBe('22012');
  await insert('ada@x');
});

test('rows of own tables, and what is wrong with a lookup', async () => {
  const { a, b, db, emails } = await setting();
  for (const [{ query }, shards] of [
    [a, [1, 2]],
    [b, [3, 4]],
  ] as const) {
    for (const n of shards) {
      await query(`create table shard000${n}.users (id bigint primary key default shard000${n}.next_id(), email text)`);
    }
  }
  interface User {
    readonly id: bigint;
    readonly email: string;
  }
  const users = db.table('users');
  const lookup = uniqueLookup<User>(db, {
    name: 'users',
    read: (key) => users.get(key) as unknown as Promise<User | null>,
    valueIn: ({ email }) => email,
  });
  await lookup.insert('ada@x', 4, (key) => users.insert({ id: key.id, email: 'ada@x' }));
  expect(await lookup.find('ada@x')).toMatchObject({ email: 'ada@x' });
  expect(await emails.find('ada@x')).toBeNull();
  await expect(lookup.find('')).rejects.toThrow(/not empty/);
  for (const [wrong, message] of [
    [{ name: 'a b', valueIn: () => '' }, /name must be/],
    [{ name: 'a' }, /valueIn/],
    [{ name: 'a', valueIn: () => '', graceMs: 0 }, /graceMs/],
    [{ name: 'a', valueIn: () => '', grace: 1 }, /did you mean "graceMs"/],
  ] as const) {
    expect(() => uniqueLookup(db, wrong as never)).toThrow(message);
  }
});
