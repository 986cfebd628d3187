// One server is killed under load and started again.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Datastore, Key } from 'pg-hypervault';
import type { EmbeddedServer } from 'pg-hypervault/embedded';
import { Callers, type Sight } from './callers.ts';
import { number, say, seconds } from './say.ts';

/** Returns everything that was acknowledged meanwhile. */
export async function outage(
  db: Datastore,
  server: EmbeddedServer,
  { living, dying }: { living: readonly Key[]; dying: readonly Key[] },
): Promise<Key[]> {
  const callers = [new Callers(db, living), new Callers(db, dying)] as const;
  const notes = (): [Sight, Sight] => [callers[0].takeNotes(), callers[1].takeNotes()];
  await sleep(500);
  notes();
  await sleep(1_000);
  show('for a second, all is well', notes());

  await server.kill();
  notes();
  await sleep(2_000);
  show('server 2 was killed (SIGKILL); the two seconds after', notes());

  const start = performance.now();
  await server.start();
  say(`server 2 is started again, and was ready after ${seconds(performance.now() - start)}`);
  await sleep(1_000);
  notes();
  await sleep(1_000);
  show('a second later, without anybody doing anything', notes());
  await Promise.all(callers.map((all) => all.stop()));
  return callers.flatMap(({ acknowledged }) => acknowledged);
}

function show(when: string, sights: readonly Sight[]): void {
  say(`${when}:`);
  for (const [index, { answers, slowestMs, errors }] of sights.entries()) {
    const slowest = answers === 0 ? '' : `, the slowest after ${slowestMs.toFixed(0)} ms`;
    say(`  callers of server ${index + 1}: ${number(answers)} answers${slowest}, ${listed(errors)}`);
  }
}

function listed(errors: Sight['errors']): string {
  if (errors.size === 0) return 'no errors';
  return [...errors].map(([name, { count, message }]) => `${number(count)} × ${name} (${message})`).join(', ');
}
