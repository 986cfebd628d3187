// One statement on every shard: ordered, limited and added up over all of them.
import { onTwoServers } from './support/two-servers.ts';

interface Database {
  orders: { id: bigint; city: string; total: number };
}

await onTwoServers<Database>(async (db) => {
  await db.fanOut(db.map.shards, (shard) =>
    shard.query('create table orders (id bigint primary key default next_id(), city text, total integer)'),
  );
  const orders = db.table('orders');
  const cities = ['Rome', 'Oslo', 'Lima'];
  const rows = Array.from({ length: 300 }, (_, i) => ({ city: cities[i % 3]!, total: i }));
  await Promise.all(rows.map((row, i) => orders.insert(row, { shardId: db.shardFor(`customer ${i}`) })));

  const largest = await db.across<{ city: string; total: number }>(
    'select city, total from orders where total > $1',
    [200],
    { orderBy: { column: 'total', descending: true }, limit: 3 },
  );
  console.log(largest.rows);

  const perCity = await db.across<{ city: string; n: bigint; most: number }>(
    'select city, count(*) as n, max(total) as most from orders group by city',
    [],
    { combine: { n: 'count', most: 'max' }, orderBy: 'city' },
  );
  for (const { city, n, most } of perCity.rows) console.log(`${city}: ${n} orders, the largest ${most}`);
});

// Prints:
// [
//   { city: 'Lima', total: 299 },
//   { city: 'Oslo', total: 298 },
//   { city: 'Rome', total: 297 }
// ]
// Lima: 100 orders, the largest 299
// Oslo: 100 orders, the largest 298
// Rome: 100 orders, the largest 297
