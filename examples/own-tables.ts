// Your own tables: in every shard, with real columns, found by a routing key or by ids that know their shard.
import { onTwoServers } from './support/two-servers.ts';

interface Database {
  orders: { id: bigint; customer: string; total: string; version: number };
  customers: { id: bigint; tenant: string; name: string };
}

await onTwoServers<Database>(async (db) => {
  // A table's ids come from next_id(), so an order is found by its id alone.
  await db.fanOut(db.map.shards, (shard) =>
    shard.query(`
      create table orders (
        id bigint primary key default next_id(),
        customer text not null,
        total numeric(12, 2) not null,
        version integer not null default 1
      );
      create table customers (
        id bigint,
        tenant text,
        name text not null,
        primary key (id)
      )`),
  );
  const orders = db.table('orders', { versionColumn: 'version' });
  const order = await orders.insert({ customer: 'acme', total: '12.50' }, { shardId: db.shardFor('acme') });
  console.log('an order:', (await orders.get(order.id))?.total);
  const changed = await orders.update(order.id, { total: '13.00' }, { ifVersion: order.version });
  console.log('changed:', changed?.total, 'version', changed?.version);
  await orders
    .update(order.id, { total: '14.00' }, { ifVersion: order.version })
    .catch((error) => console.log('refused:', error.name));

  // Rows with ids of their own, from an old database say, are routed by a column.
  const customers = db.table('customers', { by: 'tenant' });
  await customers.insertMany([
    { id: 1n, tenant: 'acme', name: 'Wile E.' },
    { id: 1n, tenant: 'umbrella', name: 'Albert W.' },
  ]);
  const two = await customers.getMany([
    { id: 1n, tenant: 'acme' },
    { id: 1n, tenant: 'umbrella' },
  ]);
  console.log('the same old id twice:', two.map((row) => row?.name).join(', '));
});

// Prints:
// an order: 12.50
// changed: 13.00 version 2
// refused: VersionConflictError
// the same old id twice: Wile E., Albert W.
