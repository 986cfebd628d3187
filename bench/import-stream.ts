// How many row changes a second go from the binlog into Postgres? The workload of the spec: 100,000 single-row events
// (50,000 inserts, 30,000 updates, 20,000 deletes; 100 statements to a transaction) on the nine-column table.
import { loadavg } from 'node:os';
import {
  type ImportServers,
  maxRssMb,
  rowOf,
  SCHEMA,
  sourceSession,
  withImportServers,
} from './support/import-servers.ts';
import { median, type Result, rounded } from './support/result.ts';

const EVENTS = 100_000;
const TURNS = 3;

export const run = (): Promise<Result[]> =>
  withImportServers(0, async (servers) => {
    await servers.engine.initReplica('big');
    const seconds: number[] = [];
    for (let turn = 0; turn < TURNS; turn++) {
      await write(servers, turn * 1_000_000);
      seconds.push(await follow(servers));
    }
    return [
      {
        bench: 'import-stream',
        case: `${EVENTS} single-row events, three indexes`,
        goal: 'at least 30,000',
        unit: 'changes/s from the binlog to Postgres',
        ours: rounded(EVENTS / median(seconds)),
        memory: { 'MB of this process at most': maxRssMb() },
        load: { 'one minute': rounded(loadavg()[0]!) },
      },
    ];
  });

/** @param base - ids above it are this turn's */
async function write(servers: ImportServers, base: number): Promise<void> {
  const session = await sourceSession(servers);
  let last = base;
  let done = base;
  for (let sent = 0; sent < EVENTS; sent += 100) {
    const statements: string[] = [];
    for (let n = 0; n < 50; n++) {
      last += 1;
      statements.push(
        `insert into big (id, n, name, price, state, changed, doc, token, note) values (${last}, ${rowOf(last)})`,
      );
    }
    for (let n = 0; n < 30; n++)
      statements.push(`update big set price = price + 1, note = 'changed' where id = ${last - n}`);
    for (let n = 0; n < 20; n++) {
      done += 1;
      statements.push(`delete from big where id = ${done}`);
    }
    await session.query(`begin; ${statements.join('; ')}; commit`);
  }
  await session.end();
}

/** Replicates until the target has what the source has; the seconds that took. */
async function follow({ engine, source, query }: ImportServers): Promise<number> {
  const [theirs] = (await source('select count(*) as n, max(id) as last from big')) as { n: number; last: number }[];
  const stop = new AbortController();
  let start = 0;
  let changes = 0;
  await engine.startReplica('big', {
    signal: stop.signal,
    onStarted: () => {
      start = performance.now();
    },
    onApplied: (batch) => {
      changes += batch.changes;
      if (changes >= EVENTS) stop.abort();
    },
  });
  const seconds = (performance.now() - start) / 1_000;
  const [ours] = await query<{ n: string; last: string }>(`select count(*) as n, max(id) as last from ${SCHEMA}.big`);
  if (Number(ours!.n) !== Number(theirs!.n) || Number(ours!.last) !== Number(theirs!.last)) {
    throw new Error(`the target has ${ours!.n} rows, the source ${theirs!.n}`);
  }
  return seconds;
}
