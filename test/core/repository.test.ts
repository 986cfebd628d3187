import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Datastore,
  defineKind,
  field,
  InvalidBodyError,
  install,
  StoredBodyError,
  VersionConflictError,
} from '../../src/core/index.ts';
import { freshDatabases, type TestDatabase } from '../support/database.ts';
import { rejection } from '../support/wait-for.ts';

const User = defineKind({
  id: 2,
  name: 'user',
  fields: { name: field.string, age: field.int, born: field.optional(field.date), tags: field.json<string[]>() },
});

let databases: readonly TestDatabase[];
let db: Datastore;
beforeAll(async () => {
  databases = await freshDatabases({ keep: true });
  const [a, b] = databases.map(({ connection }) => connection);
  const connections = [
    { ...a!, shards: '1-3' },
    { ...b!, shards: '3-5' },
  ];
  await install(connections);
  db = new Datastore(connections);
});
afterAll(async () => {
  await db.disconnect();
  await Promise.all(databases.map((database) => database.drop()));
});

describe('Repository', () => {
  it('puts, gets, updates, replaces and removes, typed', async () => {
    const users = db.repository(User);
    const key = await users.put(3, { name: 'Ada', age: 36, tags: ['x"y'] });
    const read = await users.get(key);
    expect(read).toMatchObject({ body: { name: 'Ada', age: 36, born: null, tags: ['x"y'] } });
    expect(read!.key.equals(key)).toBe(true);

    const born = new Date('1815-12-10T00:00:00Z');
    const updated = await users.update(key, { age: 37, born }, { ifUnchangedSince: read!.updated });
    expect(updated!.body).toEqual({ name: 'Ada', age: 37, born, tags: ['x"y'] });
    const stale = users.update(key, { age: 38 }, { ifUnchangedSince: read!.updated });
    expect(await rejection(stale)).toBeInstanceOf(VersionConflictError);

    const replaced = await users.replace(key, { name: 'Bob', age: 1, tags: [] });
    expect(replaced!.body).toEqual({ name: 'Bob', age: 1, born: null, tags: [] });
    expect(await users.remove(key)).toBe(true);
    expect(await users.get(key)).toBeNull();
  });

  it('reads and writes many', async () => {
    const users = db.repository(User);
    const bodies = Array.from({ length: 50 }, (_, age) => ({ name: `n${age}`, age, tags: [] }));
    const keys = await users.putMany(1, bodies);
    const read = await users.getMany([...keys].reverse());
    expect(read.map((user) => user?.body.age)).toEqual(bodies.map(({ age }) => age).reverse());
    expect(await rejection(users.putMany(2, [bodies[0]!, { ...bodies[1]!, age: 1.5 }]))).toBeInstanceOf(
      InvalidBodyError,
    );
    for await (const { key } of users.find({ shards: [2] })) expect.unreachable(`${key} was written`);
  });

  it('finds by fields over all shards', async () => {
    const users = db.repository(User);
    for (const shardId of [4, 1, 3]) await users.put(shardId, { name: 'Grace', age: 85, tags: [] });
    const found: number[] = [];
    for await (const { key, body } of users.find({ where: { name: 'Grace', age: 85 } })) {
      expect(body.name).toBe('Grace');
      found.push(key.shardId);
    }
    expect(found.sort()).toEqual([1, 3, 4]);
    const nothing = users.find({ where: { born: null as unknown as Date } }).next();
    expect(await rejection(nothing)).toBeInstanceOf(InvalidBodyError);
  });

  it('does not see entities of another kind', async () => {
    const users = db.repository(User);
    const other = await db.put(2, 7, { name: 'Ada', age: '36', tags: '[]' });
    expect(await users.get(other)).toBeNull();
    expect(await users.update(other, { age: 1 })).toBeNull();
    expect(await users.remove(other)).toBe(false);
    expect(await db.get(other)).toMatchObject({ kind: 7, body: { age: '36' } });
    expect(await db.update(other, { a: 'b' }, { kind: 7 })).toMatchObject({ body: { a: 'b', age: '36' } });
    expect(await db.remove(other, { kind: 7 })).toBe(true);
  });

  it('says which field does not fit what is stored', async () => {
    const wrong = await db.put(2, 2, { name: 'x', age: 'old', tags: '[]' });
    const error = await rejection(db.repository(User).get(wrong));
    expect(error).toBeInstanceOf(StoredBodyError);
    expect(error).toMatchObject({ field: 'age', kind: 'user', code: 'STORED_BODY' });
  });
});
