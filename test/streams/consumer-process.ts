// A process that works off a group until it is killed: prints each event's body, acknowledges it once that is out of the
// process, dies hard on request.
// Arguments: connection as JSON, group, source, body that kills ('-' for none), ms that each event takes (0).
import process from 'node:process';
import { Datastore } from '../../src/core/index.ts';
import { connect } from '../../src/streams/index.ts';

const [connection, group, source, deadly, takesMs = '0'] = process.argv.slice(2);
const datastore = new Datastore([JSON.parse(connection!)]);
const store = await connect({ datastore });
const sub = await store.connectSubscription(group!, source!, { label: 'child', maxInFlight: 4 });
process.stdout.write('ready\n');
for await (const event of sub.events) {
  if (String(event.json()) === deadly) process.kill(process.pid, 'SIGKILL');
  if (takesMs !== '0') await new Promise((resolve) => setTimeout(resolve, Number(takesMs)));
  await new Promise((resolve) => process.stdout.write(`${event.json()}\n`, resolve));
  await sub.ack(event);
}
