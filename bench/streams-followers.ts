// Event stores with many writers and one follower, each through its own API: what streams-loss and streams-stall compare.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import pg from 'pg';
import { Datastore, install } from 'pg-hypervault';
import type { EmbeddedConnection } from 'pg-hypervault/embedded';
import { connect } from 'pg-hypervault/streams';

export const WRITERS = 16;
/** All follow in steps of at most this, and look again after this time when they poll. */
const BATCH = 500;
const POLL_MS = 20;

export interface Followed {
  /** Appends one event with this body to the writer's own stream. */
  append(writer: number, body: number): Promise<unknown>;
  close(): Promise<void>;
}

/** Opens a store, and follows it from its beginning: calls back with the body of each event that is delivered. */
export type OpenFollowed = (connection: EmbeddedConnection, deliver: (body: number) => void) => Promise<Followed>;

/** One store for each writer, as in sixteen processes: nothing is gathered. */
const ours: OpenFollowed = async (connection, deliver) => {
  const connections = [{ ...connection, shards: '1-2' }];
  await install(connections, { modules: ['core', 'streams'] });
  const datastores = Array.from({ length: WRITERS + 1 }, () => new Datastore(connections));
  const stores = await Promise.all(datastores.map((datastore) => connect({ datastore, maxAppendSessions: 1 })));
  const live = await stores[WRITERS]!.subscribeToAll({ startFrom: 'beginning', batchSize: BATCH });
  const following = (async () => {
    for await (const event of live.events) deliver(event.json<{ n: number }>().n);
  })();
  return {
    append: (writer, n) => stores[writer]!.publishEvent(`w-${writer}`, 'T', { body: { n } }),
    close: async () => {
      await live.unsubscribe();
      await following;
      await Promise.all(stores.map((store) => store.close()));
      await Promise.all(datastores.map((datastore) => datastore.disconnect()));
    },
  };
};

/** What everybody writes first: a sequence, and "give me what is above the last number I saw". */
const sequenceCursor: OpenFollowed = async (connection, deliver) => {
  const pool = new pg.Pool({ ...connection, max: WRITERS + 1 });
  pool.on('error', () => {});
  await pool.query('create table log (position bigserial primary key, body json not null)');
  let following = true;
  const reading = (async () => {
    for (let last = '0'; following; ) {
      const { rows } = await pool.query('select position, body from log where position > $1 order by 1 limit $2', [
        last,
        BATCH,
      ]);
      for (const { position, body } of rows) {
        last = position;
        deliver(body.n);
      }
      if (rows.length < BATCH) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  })();
  return {
    append: (_, n) => pool.query('insert into log (body) values ($1)', [{ n }]),
    close: async () => {
      following = false;
      await reading;
      await pool.end();
    },
  };
};

interface EmmettEvent {
  readonly data: { readonly n: number };
}

interface EmmettConsumer {
  reactor(options: { processorId: string; startFrom: 'BEGINNING'; eachMessage: (event: EmmettEvent) => void }): unknown;
  start(): Promise<void>;
  close(): Promise<void>;
}

interface Emmett {
  getPostgreSQLEventStore(url: string): {
    appendToStream(stream: string, events: object[]): Promise<unknown>;
    consumer(options: { pulling: { batchSize: number; pullingFrequencyInMs: number } }): EmmettConsumer;
    close(): Promise<void>;
  };
}

const emmettEntry = join(import.meta.dirname, 'rivals/node_modules/@event-driven-io/emmett-postgresql/dist/index.js');

const emmett: OpenFollowed = async ({ user, password, host, port, database }, deliver) => {
  const { getPostgreSQLEventStore } = (await import(pathToFileURL(emmettEntry).href)) as Emmett;
  const store = getPostgreSQLEventStore(`postgres://${user}:${password}@${host}:${port}/${database}`);
  await store.appendToStream('warm-1', [{ type: 'T', data: { n: -1 } }]);
  const consumer = store.consumer({ pulling: { batchSize: BATCH, pullingFrequencyInMs: POLL_MS } });
  consumer.reactor({
    processorId: 'follower',
    startFrom: 'BEGINNING',
    eachMessage: ({ data }) => {
      if (data.n >= 0) deliver(data.n);
    },
  });
  const started = consumer.start().catch(() => {});
  return {
    append: (writer, n) => store.appendToStream(`w-${writer}`, [{ type: 'T', data: { n } }]),
    close: async () => {
      await consumer.close();
      await started;
      await store.close();
    },
  };
};

export const FOLLOWED: Readonly<Record<string, OpenFollowed>> = {
  ours,
  ...(existsSync(emmettEntry) && { 'emmett-postgresql': emmett }),
  'sequence cursor': sequenceCursor,
};

/** Sixteen writers append numbers from `first` on for so long. @returns the number of the next event */
export async function write(store: Followed, ms: number, first: number): Promise<number> {
  let next = first;
  const until = performance.now() + ms;
  const writer = async (_: unknown, i: number): Promise<void> => {
    while (performance.now() < until) await store.append(i, next++);
  };
  await Promise.all(Array.from({ length: WRITERS }, writer));
  return next;
}
