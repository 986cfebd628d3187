// Writers in processes of their own, and the check that what they were promised is there.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';
import type { LiveShardMapOptions } from '../../src/cluster/index.ts';
import type { ConnectionEntry } from '../../src/core/index.ts';
import type { ShardDatabase } from '../support/movable-cluster.ts';

export interface WriterOptions {
  /** Follows the live map; or `connections`, a map that never changes. */
  readonly live?: Pick<LiveShardMapOptions, 'control' | 'servers'>;
  readonly connections?: readonly ConnectionEntry[];
  readonly shards: readonly number[];
  readonly writers: number;
  /** A table of the user's with a column `total`, written in transactions. */
  readonly table?: string;
  readonly everyMs?: number;
  /** Goes on after failures. */
  readonly tolerant?: boolean;
  readonly timeline?: boolean;
}

export interface WriterReport {
  readonly calls: number;
  /** Callbacks that were told of a shard that moved. */
  readonly moved: number;
  readonly failures: readonly string[];
  /** Ids that were acknowledged, and the last counter acknowledged for each. */
  readonly acked: readonly (readonly [string, number])[];
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** When each call ended (ms since 1970) and how long it took. */
  readonly timeline: readonly (readonly [number, number])[];
}

/** Starts a process of writers; resolves when they write. `stop` resolves with what they were promised. */
export async function startWriters(options: WriterOptions): Promise<{ stop: () => Promise<WriterReport> }> {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', join(import.meta.dirname, 'shard-writer-process.ts'), JSON.stringify(options)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const over = new Promise((resolve) => child.once('exit', resolve));
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await over;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  return {
    stop: async () => {
      child.stdin.end();
      const { value } = await lines.next();
      await over;
      return JSON.parse(value as string) as WriterReport;
    },
  };
}

/** What was acknowledged and is not on the shard's server: nothing, if all is well. */
export async function lostOf(database: ShardDatabase, schema: string, { acked }: WriterReport): Promise<string[]> {
  const { rows } = await database.query(`select id::text, body->'n' as n from ${schema}.entities`);
  const there = new Map(rows.map(({ id, n }) => [id as string, Number(n)]));
  const lost: string[] = [];
  const own = acked.filter(([id]) => id.includes(' '));
  for (const [id, n] of acked) {
    if (id.includes(' ')) continue;
    const found = there.get(id);
    if (found === undefined) lost.push(`${id} is missing`);
    else if (found < n) lost.push(`${id} is at ${found}, not at ${n}`);
  }
  for (const table of new Set(own.map(([id]) => id.split(' ')[0]!))) {
    const ids = own.filter(([id]) => id.startsWith(`${table} `)).map(([id]) => id.split(' ')[1]!);
    const missing = await database.query(
      `select given.id from unnest($1::bigint[]) as given (id)
       where not exists (select from ${schema}.${table} as row where row.id = given.id)`,
      [ids],
    );
    lost.push(...missing.rows.map(({ id }) => `${table} ${id} is missing`));
  }
  return lost;
}
