// Appends, slice reads, live delivery and persistent subscriptions, beside message-db, emmett-postgresql and pg-boss on one
// server with fsync on. The rivals are apart: npm ci in bench/rivals first; one that is missing is left out.
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import pg from 'pg';
import PgBoss from 'pg-boss';
import { Datastore, install } from 'pg-hypervault';
import { startEmbedded } from 'pg-hypervault/embedded';
import { connect, type EventStore, NewEvent } from 'pg-hypervault/streams';

const SLICE_MS = 700;
const ROUNDS = 9;
const BODY = { height: 10, name: 'Pinkie Pie' };
const RIVALS = join(import.meta.dirname, 'rivals/node_modules');

type Append = (caller: number, turn: number) => Promise<unknown>;

export async function run(): Promise<object[]> {
  await using servers = await startEmbedded({ settings: { shared_buffers: '256MB' } });
  const connection = servers.connections[0]! as pg.ClientConfig & { port: number };
  const connections = [{ ...servers.connections[0]!, shards: '1-2' }];
  await install(connections, { modules: ['core', 'streams'] });
  const db = new Datastore(connections);
  const store = await connect({ datastore: db });
  const pool = new pg.Pool({ ...connection, max: 10, options: '-c search_path=message_store,public' });
  const ended: (() => Promise<unknown>)[] = [];
  const appenders: Record<string, Append> = {
    ours: (caller) => store.publishEvent(`own-${caller}`, 'T', { body: BODY }),
    'raw gathered insert': await rawInsert(connection, ended),
    ...(await messageDb(pool)),
    ...(await emmett(connection, ended)),
  };
  const results: object[] = [];
  for (const callers of [1, 64]) {
    const rates = await inTurn(appenders, callers);
    results.push(line('streams-append', { callers }, 'appends/s', rates));
  }
  results.push(line('streams-read', { slice: 1000 }, 'events/s', { ours: await reads(store) }));
  results.push(...(await delivery(store)));
  const acked = await workOff(store);
  results.push(line('streams-persistent', {}, 'acked events/s', { ours: acked, 'pg-boss': await boss(connection) }));
  for (const end of ended) await end();
  await pool.end();
  await store.close();
  await db.disconnect();
  return results;
}

function line(bench: string, which: object, unit: string, { ours, ...rivals }: Record<string, number>): object {
  return { bench, ...which, unit, ours, rivals };
}

/**
 * Short slices in turn, so that whatever else the machine does falls on all alike; the median of each. The first slice of
 * each is not counted: it compiles code, opens sessions and makes streams.
 */
async function inTurn(appenders: Record<string, Append>, callers: number): Promise<Record<string, number>> {
  const rates = new Map<string, number[]>();
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, append] of Object.entries(appenders)) {
      let count = 0;
      const until = performance.now() + SLICE_MS;
      const work = Array.from({ length: callers }, async (_, caller) => {
        for (let turn = 0; performance.now() < until; turn++) {
          await append(caller, turn);
          count += 1;
        }
      });
      await Promise.all(work);
      if (round > 0) rates.set(name, [...(rates.get(name) ?? []), (count * 1_000) / SLICE_MS]);
    }
  }
  return Object.fromEntries(
    [...rates].map(([name, list]) => [name, Math.round(list.sort((a, b) => a - b)[list.length >> 1]!)]),
  );
}

async function rawInsert(connection: pg.ClientConfig, ended: (() => Promise<unknown>)[]): Promise<Append> {
  const clients = await Promise.all([0, 1].map(() => new pg.Client(connection).connect()));
  ended.push(() => Promise.all(clients.map((client) => client.end())));
  const free = [...clients];
  await free[0]!.query(
    'create table raw (id bigint generated always as identity primary key, stream bigint, number bigint, uuid uuid, type text, body json, unique (stream, number), unique (stream, uuid))',
  );
  let waiting: { caller: number; number: number; done: () => void }[] = [];
  let number = 0;
  const flush = (): void => {
    while (waiting.length > 0 && free.length > 0) {
      const batch = waiting;
      waiting = [];
      const client = free.pop()!;
      const values = [
        batch.map(({ caller }) => caller),
        batch.map((row) => row.number),
        batch.map(() => randomUUID()),
        batch.map(() => 'T'),
        batch.map(() => JSON.stringify(BODY)),
      ];
      const text =
        'insert into raw (stream, number, uuid, type, body) select * from unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::text[], $5::json[])';
      void client.query({ name: 'raw', text, values }).then(() => {
        free.push(client);
        for (const { done } of batch) done();
        setImmediate(flush);
      });
    }
  };
  return (caller) =>
    new Promise<void>((done) => {
      number += 1;
      waiting.push({ caller, number, done });
      setImmediate(flush);
    });
}

async function messageDb(pool: pg.Pool): Promise<Record<string, Append>> {
  const folder = join(RIVALS, '@eventide/message-db/database');
  if (!existsSync(folder)) return {};
  const files = (name: string): string[] => readdirSync(join(folder, name)).map((file) => join(folder, name, file));
  const client = await pool.connect();
  await client.query('create schema message_store; set search_path = message_store, public');
  for (const file of [...files('types'), ...files('tables'), ...files('functions'), ...files('indexes')]) {
    await client.query(readFileSync(file, 'utf8').replaceAll('CONCURRENTLY', ''));
  }
  client.release(true);
  const text = 'select message_store.write_message($1, $2, $3, $4)';
  return {
    'message-db': (caller) =>
      pool.query({ name: 'write', text, values: [randomUUID(), `own${caller}-1`, 'T', JSON.stringify(BODY)] }),
  };
}

interface Emmett {
  getPostgreSQLEventStore(url: string): {
    appendToStream(stream: string, events: object[]): Promise<unknown>;
    close(): Promise<void>;
  };
}

async function emmett(
  { user, password, host, port, database }: pg.ClientConfig,
  ended: (() => Promise<unknown>)[],
): Promise<Record<string, Append>> {
  const entry = join(RIVALS, '@event-driven-io/emmett-postgresql/dist/index.js');
  if (!existsSync(entry)) return {};
  const { getPostgreSQLEventStore } = (await import(pathToFileURL(entry).href)) as Emmett;
  const store = getPostgreSQLEventStore(`postgres://${user}:${password}@${host}:${port}/${database}`);
  ended.push(() => store.close());
  await store.appendToStream('warm-1', [{ type: 'T', data: BODY }]);
  return {
    'emmett-postgresql': (caller) => store.appendToStream(`own-${caller}`, [{ type: 'T', data: BODY }]),
  };
}

async function reads(store: EventStore): Promise<number> {
  for (let i = 0; i < 20; i++) {
    await store.publish(
      'slices',
      Array.from({ length: 500 }, () => new NewEvent('T', { body: BODY })),
    );
  }
  let count = 0;
  const started = performance.now();
  while (performance.now() - started < SLICE_MS * 2) {
    const slice = await store.get('slices', { maxCount: 1000, fromEvent: BigInt((count * 7) % 9_000) });
    for (const event of slice) event.json();
    count += slice.length;
  }
  return Math.round((count * 1_000) / (performance.now() - started));
}

/** From the end of the append to the handler, at about 1,000 appends a second. */
async function delivery(store: EventStore): Promise<object[]> {
  const live = await store.subscribeToAll();
  const committed = new Map<number, number>();
  const times: number[] = [];
  const reading = (async () => {
    for await (const event of live.events) {
      const { n } = event.json<{ n: number }>();
      // An event may be here before the reply of its append is.
      times.push(Math.max(0, performance.now() - (committed.get(n) ?? performance.now())));
      if (times.length === 2_000) return;
    }
  })();
  for (let n = 0; n < 2_000; n++) {
    void store.publishEvent(`live-${n % 20}`, 'T', { body: { n } }).then(() => committed.set(n, performance.now()));
    if (n % 5 === 4) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await reading;
  times.sort((a, b) => a - b);
  const at = (share: number): number => Math.round(times[Math.floor(times.length * share)]! * 10) / 10;
  return [
    { bench: 'streams-live', unit: 'ms from commit to handler, p50', ours: at(0.5), rivals: {} },
    { bench: 'streams-live', unit: 'ms from commit to handler, p99', ours: at(0.99), rivals: {} },
  ];
}

async function workOff(store: EventStore): Promise<number> {
  const total = 30_000;
  for (let i = 0; i < total; i += 500) {
    const events = Array.from({ length: 500 }, () => new NewEvent('T', { body: BODY }));
    await store.publish(`job-${i % 20_000}`, events);
  }
  await store.createSubscription('bench', 'job-*', { startFrom: 'beginning' });
  const started = performance.now();
  const sub = await store.connectSubscription('bench', 'job-*');
  let count = 0;
  for await (const event of sub.events) {
    await sub.ack(event);
    count += 1;
    if (count === total) break;
  }
  return Math.round((total * 1_000) / (performance.now() - started));
}

async function boss(connection: pg.ClientConfig): Promise<number> {
  const queue = new PgBoss({
    ...(connection as object),
    supervise: false,
    schedule: false,
  } as PgBoss.ConstructorOptions);
  await queue.start();
  await queue.createQueue('bench');
  const total = 6_000;
  await queue.insert(Array.from({ length: total }, () => ({ name: 'bench', data: BODY })));
  const started = performance.now();
  for (let count = 0; count < total; ) {
    const jobs = await queue.fetch('bench', { batchSize: 500 });
    await queue.complete(
      'bench',
      jobs.map(({ id }) => id),
    );
    count += jobs.length;
  }
  const rate = Math.round((total * 1_000) / (performance.now() - started));
  await queue.stop({ graceful: false });
  return rate;
}
