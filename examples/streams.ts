// Event streams: append with an expected version, read, and work off with a group that remembers how far it is.
import { connect, NewEvent } from 'pg-hypervault/streams';
import { onTwoServers } from './support/two-servers.ts';

await onTwoServers(async (db) => {
  const store = await connect({ datastore: db });
  await store.publishEvent('ponies', 'PonyJumped', { body: { height: 10 }, metadata: { by: 'me' } });
  await store.publish('ponies', [new NewEvent('PonyJumped', { body: { height: 9 } })], { expectedVersion: 0n });
  await store
    .publishEvent('ponies', 'PonyJumped', { body: { height: 8 }, expectedVersion: 0n })
    .catch((error) => console.log('refused:', error.message));
  for await (const { eventNumber, type, data } of store.iter('ponies')) console.log(eventNumber, type, data.toString());

  await store.createSubscription('mailer', 'ponies', { startFrom: 0n });
  const sub = await store.connectSubscription('mailer', 'ponies');
  for await (const event of sub.events) {
    console.log('mailed', event.json());
    await sub.ack(event);
    if (event.eventNumber === 1n) break;
  }
  const { lag, settled } = await store.subscriptionStats('mailer', 'ponies');
  console.log({ lag, settled });
  await store.close();
});

// Prints:
// refused: "ponies": event 0 was to be its last, but its last event is 1; read it again and decide anew
// 0n PonyJumped {"height":10}
// 1n PonyJumped {"height":9}
// mailed { height: 10 }
// mailed { height: 9 }
// { lag: 0n, settled: 2n }
