// pgbench, when it is on the machine: a C program with nothing to decode, one half of the callers on each server.
import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import type { Seen } from './load.ts';
import { type BenchServers, SHARDS } from './servers.ts';

const run = promisify(execFile);

/** The path of pgbench, or `undefined`. */
export function findPgbench(): string | undefined {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).map((version) => join(debian, version, 'bin')) : [];
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...versions];
  return folders.map((folder) => join(folder, 'pgbench')).find((path) => existsSync(path));
}

/** Runs one script per shard, prepared, chosen at random. Its time runs while it connects, so it gets longer than others. */
export async function pgbench(
  program: string,
  servers: BenchServers,
  script: (shardId: number) => string,
  { callers, durationMs }: { callers: number; durationMs: number },
): Promise<Seen> {
  // It has nothing to warm up: every run is a new process.
  if (durationMs < 500) return { perSecond: 0, p50Ms: 0, p99Ms: 0 };
  const folder = await mkdtemp(join(tmpdir(), 'pg-hypervault-pgbench-'));
  try {
    const halves = await Promise.all(
      servers.connections.map(async (connection, server) => {
        const words = ['--no-vacuum', '--protocol=prepared', '--time=3', `--client=${Math.ceil(callers / 2)}`];
        for (const shardId of SHARDS.filter((shard) => servers.of(shard) === server)) {
          const file = join(folder, `${shardId}.sql`);
          await writeFile(file, script(shardId));
          words.push(`--file=${file}`);
        }
        const env = {
          ...process.env,
          PGHOST: connection.host,
          PGPORT: String(connection.port),
          PGUSER: connection.user,
          PGPASSWORD: connection.password,
          PGDATABASE: connection.database,
        };
        const { stdout } = await run(program, words, { env });
        return {
          perSecond: Number(/^tps = ([\d.]+)/m.exec(stdout)?.[1]),
          latencyMs: Number(/^latency average = ([\d.]+)/m.exec(stdout)?.[1]),
        };
      }),
    );
    const latencyMs = (halves[0]!.latencyMs + halves[1]!.latencyMs) / 2;
    // It gives no percentiles without a log of every call; the average stands for the middle one.
    return { perSecond: halves[0]!.perSecond + halves[1]!.perSecond, p50Ms: latencyMs, p99Ms: Number.NaN };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
