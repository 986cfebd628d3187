// How large do the tables of a group become? A million events are acknowledged, some of them after a retry.
import pg from 'pg';
import { Datastore, install } from 'pg-hypervault';
import { startEmbedded } from 'pg-hypervault/embedded';
import { connect, type EventStore, NewEvent } from 'pg-hypervault/streams';

const EVENTS = Number(process.env.HYPERVAULT_BENCH_EVENTS ?? 1_000_000);
const RETRY_EVERY = 10_000;
const TABLES = ['hv_groups', 'hv_slices', 'hv_consumers', 'hv_retries', 'hv_parked'];

export async function run(): Promise<object[]> {
  await using servers = await startEmbedded({ settings: { fsync: false } });
  const connections = [{ ...servers.connections[0]!, shards: '1-2' }];
  await install(connections, { modules: ['core', 'streams'] });
  const db = new Datastore(connections);
  const store = await connect({ datastore: db });
  await fill(store);
  await store.createSubscription('g', 'job-*', { startFrom: 'beginning', retryDelayMs: 10 });
  const settled = await workOff(store);
  await store.close();
  await db.disconnect();
  const client = new pg.Client(servers.connections[0]! as pg.ClientConfig);
  await client.connect();
  const sizes = TABLES.map((table) => `pg_total_relation_size('shard0001.${table}')`).join(' + ');
  const { rows } = await client.query<{ bytes: string }>(`select ${sizes} as bytes`);
  await client.end();
  const kilobytes = Math.round(Number(rows[0]!.bytes) / 1024);
  return [
    {
      bench: 'streams-group-size',
      events: settled,
      unit: 'kB of all tables of groups, goal below 2,048',
      ours: kilobytes,
    },
  ];
}

async function fill(store: EventStore): Promise<void> {
  const lists = Array.from({ length: 500 }, () => new NewEvent('T', { body: { height: 10 } }));
  let next = 0;
  const write = async (): Promise<void> => {
    while (next < EVENTS) {
      const from = next;
      next += lists.length;
      const events = lists.map(({ type, body }) => new NewEvent(type, { body }));
      await store.publish(`job-${(from / lists.length) % 100}`, events);
    }
  };
  await Promise.all(Array.from({ length: 4 }, () => write()));
}

/** @returns how many events were worked off */
async function workOff(store: EventStore): Promise<number> {
  const sub = await store.connectSubscription('g', 'job-*');
  const settled = new Set<string>();
  let count = 0;
  for await (const event of sub.events) {
    count += 1;
    if (count % RETRY_EVERY === 0) {
      await sub.nack(event, 'retry');
      continue;
    }
    await sub.ack(event);
    settled.add(event.id);
    if (settled.size === EVENTS) break;
  }
  return settled.size;
}
