// A process that works off a group exactly once: each event is written into a table within the transaction that settles it.
// Arguments: connection as JSON, a label. Runs until it is killed.
import process from 'node:process';
import { Datastore } from '../../../src/core/index.ts';
import { connect, LeaseLostError } from '../../../src/streams/index.ts';

const [connection, label] = process.argv.slice(2);
const datastore = new Datastore([JSON.parse(connection!)]);
const store = await connect({ datastore, requestTimeoutMs: 5_000 });
const sub = await store.connectSubscription('soak', '$all', { label, maxInFlight: 16 });
process.stdout.write('ready\n');

async function work(): Promise<void> {
  for (;;) {
    const { done, value: event } = await sub.next();
    if (done) return;
    for (;;) {
      try {
        await sub.transaction(event, (cursor) =>
          cursor.query('insert into public.worked_off (body) values ($1)', [event.json()]),
        );
        break;
      } catch (error) {
        // Somebody else has it; anything else is a server away, and the event is still in hand.
        if (error instanceof LeaseLostError) break;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }
}

await Promise.all(Array.from({ length: 16 }, () => work()));
