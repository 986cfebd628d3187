// A process that works while it leads: prints a line for each run and for each change of its state.
// Arguments: connection as JSON, how long a term lasts in ms.
import process from 'node:process';
import { Component, type ExecuteContext, NotificationListener, Supervisor } from '../../src/listen/index.ts';

const [connection, ttlMs] = process.argv.slice(2);

class Worker extends Component {
  execute(_pre: unknown, { epoch }: ExecuteContext): void {
    process.stdout.write(`run ${epoch}\n`);
  }
}

const supervisor = new Supervisor({
  connection: JSON.parse(connection!),
  leader: { name: 'team', ttlMs: Number(ttlMs) },
});
supervisor.on('state', ({ to }) => process.stdout.write(`${to}\n`));
supervisor.addListener(new NotificationListener({ channel: 'jobs', payloads: true })).addProcessor(new Worker());
await supervisor.start({ waitFor: 'listening' });
