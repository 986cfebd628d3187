import { eq } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { bigint, pgTable, text } from 'drizzle-orm/pg-core';
import { Kysely, PostgresDialect } from 'kysely';
import { beforeEach, expect, test } from 'vitest';
import type { Datastore } from '../../src/core/index.ts';
import { testDatastore } from '../support/datastore.ts';
import { rejection } from '../support/wait-for.ts';

let db: Datastore;

beforeEach(async () => {
  ({ db } = await testDatastore());
  await db.fanOut(db.map.shards, (cursor) =>
    cursor.query('create table users (id bigint primary key default next_id(), name text)'),
  );
});

test('Kysely runs on one shard, transactions too', async () => {
  const shard = new Kysely<{ users: { id: string; name: string } }>({
    dialect: new PostgresDialect({ pool: db.pool(5) as never }),
  });
  await shard
    .insertInto('users')
    .values({ name: 'ada' } as never)
    .execute();
  await rejection(
    shard.transaction().execute(async (t) => {
      await t
        .insertInto('users')
        .values({ name: 'lost' } as never)
        .execute();
      throw new Error('roll back');
    }),
  );
  expect(await shard.selectFrom('users').select('name').execute()).toEqual([{ name: 'ada' }]);
  const elsewhere = new Kysely<{ users: { name: string } }>({
    dialect: new PostgresDialect({ pool: db.pool(6) as never }),
  });
  expect(await elsewhere.selectFrom('users').selectAll().execute()).toEqual([]);
});

test('Drizzle runs on one shard, transactions too', async () => {
  const users = pgTable('users', { id: bigint({ mode: 'bigint' }), name: text() });
  const shard = drizzle(db.pool(2) as never);
  await shard.execute(`insert into users (name) values ('bob')`);
  await rejection(
    shard.transaction(async (t) => {
      await t.execute(`insert into users (name) values ('lost')`);
      t.rollback();
    }),
  );
  expect(await shard.select({ name: users.name }).from(users).where(eq(users.name, 'bob'))).toEqual([{ name: 'bob' }]);
  expect(await shard.select().from(users)).toHaveLength(1);
});

test('plain pg code: connect, query, release; and what it refuses', async () => {
  const pool = db.pool(1);
  const client = await pool.connect();
  await client.query('insert into users (name) values ($1)', ['carol']);
  client.release();
  expect(() => client.query('select 1')).toThrow(/released/);
  expect(() => client.release()).toThrow(/released/);
  expect((await pool.query('select name from users')).rows).toEqual([{ name: 'carol' }]);
  expect((await pool.query({ text: 'select 1 as a', rowMode: 'array' } as never)).rows).toEqual([[1]]);
  expect((await rejection(pool.query('selec'))).code).toBe('42601');
  expect((await rejection(pool.end())).message).toMatch(/disconnect/);
  expect(() => db.pool(99)).toThrow(/shard 99/);
  expect(db.stats().a!.lent).toBe(0);
});
