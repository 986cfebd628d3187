// How old is what the target shows, while the source changes a thousand rows a second?
import { loadavg } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { type ImportServers, rowOf, SCHEMA, sourceSession, withImportServers } from './support/import-servers.ts';
import { type Result, rounded } from './support/result.ts';

const SECONDS = 12;
const PER_TURN = 10;
const TURN_MS = 10;

export const run = (): Promise<Result[]> =>
  withImportServers(0, async (servers) => {
    await servers.engine.initReplica('big');
    const stop = new AbortController();
    const running = servers.engine.startReplica('big', { signal: stop.signal });
    try {
      await firstRow(servers);
      const committed = new Map<number, number>();
      const ages = await Promise.all([write(servers, committed), watch(servers, committed)]).then(([, seen]) => seen);
      const sorted = ages.toSorted((a, b) => a - b);
      const at = (share: number): number => rounded(sorted[Math.floor((sorted.length - 1) * share)]!);
      return [
        {
          bench: 'import-freshness',
          case: `1,000 changes a second for ${SECONDS} s`,
          goal: 'p99 at most 500',
          unit: 'ms from commit to sight, p99',
          ours: at(0.99),
          further: { p50: at(0.5), max: at(1), transactions: sorted.length },
          load: { 'one minute': rounded(loadavg()[0]!) },
        },
      ];
    } finally {
      stop.abort();
      await running;
    }
  });

/** Waits until the replica runs: its start is another question. */
async function firstRow({ source, query }: ImportServers): Promise<void> {
  await source(`insert into big (id, n, name, price, state, changed, doc, token, note) values (-1, ${rowOf(7)})`);
  while ((await query(`select from ${SCHEMA}.big`)).length === 0) await pause(20);
}

/** Ten rows in a transaction, every ten milliseconds; notes when each was committed. */
async function write(servers: ImportServers, committed: Map<number, number>): Promise<void> {
  const session = await sourceSession(servers);
  const start = performance.now();
  const turns = (SECONDS * 1_000) / TURN_MS;
  for (let turn = 0; turn < turns; turn++) {
    const first = turn * PER_TURN + 1;
    const inserts = Array.from(
      { length: PER_TURN },
      (_, n) =>
        `insert into big (id, n, name, price, state, changed, doc, token, note) values (${first + n}, ${rowOf(first + n)})`,
    );
    await session.query(`begin; ${inserts.join('; ')}; commit`);
    committed.set(first + PER_TURN - 1, performance.now());
    const ahead = start + (turn + 1) * TURN_MS - performance.now();
    if (ahead > 0) await pause(ahead);
  }
  await session.end();
}

/** Looks at the target all the time; the age of each transaction when it was first seen. */
async function watch({ connection }: ImportServers, committed: Map<number, number>): Promise<number[]> {
  const client = new pg.Client(connection);
  await client.connect();
  const ages: number[] = [];
  const last = ((SECONDS * 1_000) / TURN_MS) * PER_TURN;
  for (let seen = 0; seen < last; ) {
    const { rows } = await client.query<{ id: string | null }>(`select max(id) as id from ${SCHEMA}.big`);
    const now = performance.now();
    const id = Number(rows[0]!.id ?? 0);
    for (let next = seen + PER_TURN; next <= id; next += PER_TURN) {
      // Seen before its writer heard of the commit: fresh indeed
      ages.push(Math.max(0, now - (committed.get(next) ?? now)));
      seen = next;
    }
    await pause(2);
  }
  await client.end();
  return ages;
}
