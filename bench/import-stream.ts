// How many row changes a second go from the binlog into Postgres? The workload of the spec: 100,000 single-row events
// (50,000 inserts, 30,000 updates, 20,000 deletes; 100 statements to a transaction) on the nine-column table.
import { loadavg } from 'node:os';
import pg from 'pg';
import { startChameleon } from './support/chameleon.ts';
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
    const chameleon = await startChameleon(servers);
    await chameleon?.copy();
    const theirs: number[] = [];
    const seconds: number[] = [];
    const plain: number[] = [];
    let rssMb = 0;
    for (let turn = 0; turn < TURNS; turn++) {
      await write(servers, turn * 1_000_000);
      seconds.push(await follow(servers));
      rssMb ||= maxRssMb();
      plain.push(await oneByOne(servers, turn * 1_000_000));
      // Once is enough for what takes half a minute
      if (chameleon !== undefined && turn === 0) theirs.push(await chameleon.follow());
    }
    await chameleon?.remove();
    return [
      {
        bench: 'import-stream',
        case: `${EVENTS} single-row events, three indexes`,
        goal: 'at least 30,000',
        unit: 'changes/s from the binlog to Postgres',
        ours: rounded(EVENTS / median(seconds)),
        rivals: {
          'a statement for each change, 100 to a transaction': rounded(EVENTS / median(plain)),
          ...(chameleon && { [chameleon.name]: rounded(EVENTS / median(theirs)) }),
        },
        memory: { 'MB of this process at most, the writer among it': rssMb },
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

/** The same changes, each a statement of its own: how replicas that do not compact apply them. Without reading any log. */
async function oneByOne({ connection, query }: ImportServers, base: number): Promise<number> {
  await query(`create table if not exists public.plain (like ${SCHEMA}.big including all)`);
  const client = new pg.Client(connection);
  await client.connect();
  const start = performance.now();
  let last = base;
  let done = base;
  for (let sent = 0; sent < EVENTS; sent += 100) {
    const statements: string[] = ['begin'];
    for (let n = 0; n < 50; n++) {
      last += 1;
      statements.push(
        `insert into plain overriding system value values (${last}, ${(last * 7919) % 1_000_003}, 'name of ${last} 😀', ${last} / 7.0, 'new',
          '2025-01-01', '{"k": ${last}, "t": "tab"}', decode(md5('${last}'), 'hex'), repeat('text ', 12))`,
      );
    }
    for (let n = 0; n < 30; n++)
      statements.push(`update plain set price = price + 1, note = 'changed' where id = ${last - n}`);
    for (let n = 0; n < 20; n++) {
      done += 1;
      statements.push(`delete from plain where id = ${done}`);
    }
    await client.query([...statements, 'commit'].join('; '));
  }
  const seconds = (performance.now() - start) / 1_000;
  await client.end();
  return seconds;
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
