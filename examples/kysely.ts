// Kysely on one shard: names without a schema are found in the shard's own.
import { type Generated, Kysely, PostgresDialect } from 'kysely';
import { onTwoServers } from './support/two-servers.ts';

interface Tables {
  books: { id: Generated<string>; title: string; year: number };
}

await onTwoServers(async (db) => {
  const shard = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: db.pool(db.shardFor('library')) }) });
  await shard.schema
    .createTable('books')
    .addColumn('id', 'bigint', (column) => column.primaryKey().defaultTo(shard.fn('next_id')))
    .addColumn('title', 'text')
    .addColumn('year', 'integer')
    .execute();
  await shard.transaction().execute(async (transaction) => {
    await transaction.insertInto('books').values({ title: 'Dracula', year: 1897 }).execute();
    await transaction.insertInto('books').values({ title: 'Emma', year: 1815 }).execute();
  });
  console.log(await shard.selectFrom('books').select(['title', 'year']).where('year', '<', 1850).execute());
});

// Prints:
// [ { title: 'Emma', year: 1815 } ]
