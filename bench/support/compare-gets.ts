// Reads by id, by 1, 16, 64 and 256 callers, ours beside every rival's.
import { Datastore } from 'pg-hypervault';
import { idOf, type Target, targets, turning } from './fill.ts';
import { dataLoader, pgClient, pgPool, postgresJs } from './get-rivals.ts';
import { figures, load, type Seen, takeTurns } from './load.ts';
import { findPgbench, pgbench } from './pgbench.ts';
import { pipelined } from './pipelined.ts';
import type { Result } from './result.ts';
import type { GetRival, Reading } from './rival.ts';
import { type BenchServers, POOL_MAX, schemaOf } from './servers.ts';

const CALLERS = [1, 16, 64, 256];

export async function compareGets(
  bench: string,
  servers: BenchServers,
  {
    perShard,
    ours,
    ...reading
  }: Reading & { perShard: number; ours: (db: Datastore) => (target: Target) => Promise<unknown> },
): Promise<Result[]> {
  const db = new Datastore(servers.connections, { poolMax: POOL_MAX });
  const rivals: Record<string, GetRival> = {
    ours: { get: ours(db), close: () => db.disconnect() },
    'postgres.js': postgresJs(servers, reading),
    pg: pgPool(servers, reading),
    'dataloader over pg': dataLoader(servers, reading),
    'pipelined by hand': await pipelined(servers, reading),
    'one pg client': await pgClient(servers, reading),
  };
  const program = findPgbench();
  const results: Result[] = [];
  try {
    await sameAnswers(rivals, targets(perShard)[0]!);
    for (const callers of CALLERS) {
      const next = turning(targets(perShard));
      const works = Object.entries(rivals)
        // One session is the measure for one caller; more callers would only queue behind it.
        .filter(([name]) => name !== 'one pg client' || callers === 1)
        .map(
          ([name, { get }]) =>
            [
              name,
              ({ durationMs }: { durationMs: number }) => load(() => get(next()), { callers, durationMs }),
            ] as const,
        );
      const all: Record<string, (turn: { durationMs: number }) => Promise<Seen>> = Object.fromEntries(works);
      if (program !== undefined && callers > 1) {
        const script = (shardId: number): string =>
          `\\set id ${idOf(shardId, 0)} + random(0, ${perShard - 1}) * 8388608\nselect ${reading.columns} from ${schemaOf(shardId)}.${reading.table} where id = :id;\n`;
        all.pgbench = (turn) => pgbench(program, servers, script, { callers, ...turn });
      }
      results.push({ bench, callers, ...figures(await takeTurns(all)) });
    }
  } finally {
    await Promise.all(Object.values(rivals).map((rival) => rival.close()));
  }
  return results;
}

/** A rival that finds nothing is fast. */
async function sameAnswers(rivals: Readonly<Record<string, GetRival>>, target: Target): Promise<void> {
  const answers = await Promise.all(Object.values(rivals).map(({ get }) => get(target)));
  const texts = Object.keys(rivals).map((name, i) => [name, JSON.stringify(answers[i] ?? null, plain)] as const);
  for (const [name, text] of texts) {
    if (!text.includes('Person number')) throw new Error(`${name} did not find row ${target.id}: ${text}`);
  }
}

const plain = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? value.toString() : value);
