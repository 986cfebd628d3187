// A process of writers: publishes events to streams that all writers share, and prints each one that was acknowledged.
// Arguments: connection as JSON, a label that no other process has, how many writers. SIGTERM ends it after work in hand.
import process from 'node:process';
import { Datastore } from '../../../src/core/index.ts';
import { connect } from '../../../src/streams/index.ts';

const [connection, label, count] = process.argv.slice(2);
const datastore = new Datastore([JSON.parse(connection!)]);
const store = await connect({ datastore, requestTimeoutMs: 5_000 });
let writing = true;
process.once('SIGTERM', () => {
  writing = false;
});
process.stdout.write('ready\n');

async function write(writer: number): Promise<void> {
  for (let n = 0; writing; n++) {
    const body = `${label}.${writer}.${n}`;
    await store.publishEvent(`soak-${(writer + n) % 12}`, 'T', { body: JSON.stringify(body) });
    process.stdout.write(`${body}\n`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

await Promise.all(Array.from({ length: Number(count) }, (_, writer) => write(writer)));
await store.close();
await datastore.disconnect();
