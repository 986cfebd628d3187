// Drizzle's node-postgres driver on one shard.
import { eq, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { bigint, integer, pgTable, text } from 'drizzle-orm/pg-core';
import type { Pool } from 'pg';
import { onTwoServers } from './support/two-servers.ts';

const films = pgTable('films', {
  id: bigint({ mode: 'bigint' }).primaryKey().default(sql`next_id()`),
  title: text().notNull(),
  year: integer().notNull(),
});

await onTwoServers(async (db) => {
  // Drizzle's types ask for node-postgres' own class; what it calls of it is there.
  const shard = drizzle(db.pool(db.shardFor('cinema')) as unknown as Pool);
  await shard.execute('create table films (id bigint primary key default next_id(), title text, year integer)');
  await shard.transaction(async (transaction) => {
    await transaction.insert(films).values([
      { title: 'Metropolis', year: 1927 },
      { title: 'M', year: 1931 },
    ]);
  });
  console.log(await shard.select({ title: films.title }).from(films).where(eq(films.year, 1931)));
});

// Prints:
// [ { title: 'M' } ]
