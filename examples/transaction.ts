// Transactions: whole inside one shard, tried again when two of them collide.
import { onTwoServers } from './support/two-servers.ts';

await onTwoServers(async (db) => {
  const shard = db.shardFor('acme');
  await db.withCursor(shard, (cursor) =>
    cursor.query(`
      create table accounts (name text primary key, balance integer not null check (balance >= 0));
      insert into accounts values ('cash', 100), ('bank', 0)`),
  );
  const move = (amount: number): Promise<void> =>
    db.transaction(
      shard,
      async (cursor) => {
        await cursor.query(`update accounts set balance = balance + $1 where name = 'bank'`, [amount]);
        await cursor.query(`update accounts set balance = balance - $1 where name = 'cash'`, [amount]);
      },
      { isolation: 'serializable', maxRetries: 20 },
    );

  await Promise.all([move(10), move(20), move(30)]);
  await move(1_000).catch((error) => console.log('undone:', error.message));

  // A cursor can also stream what would not fit into memory; leaving early gives the connection back.
  await db.withCursor(shard, async (cursor) => {
    for await (const row of cursor.stream('select name, balance from accounts order by name')) console.log(row);
  });
});

// Prints:
// undone: new row for relation "accounts" violates check constraint "accounts_balance_check"
// { name: 'bank', balance: 60 }
// { name: 'cash', balance: 40 }
