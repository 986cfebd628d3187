// What do the server's backends hold in memory after every pool has touched 20 tables in each of 512 shards?
import { readFile } from 'node:fs/promises';
import { Datastore, Key } from 'pg-hypervault';
import { idOf } from './support/fill.ts';
import { median, type Result, rounded } from './support/result.ts';
import { type BenchServers, schemaOf, withServers } from './support/servers.ts';

const SHARDS = Array.from({ length: 512 }, (_, index) => index + 1);
const TABLES = Array.from({ length: 20 }, (_, index) => `t${index + 1}`);
/** Each shard is read this many times, so that every session of the pool has had its turn. */
const ROUNDS = 3;

export const run = (): Promise<Result[]> =>
  withServers(
    async (servers) => {
      await makeTables(servers);
      const db = new Datastore(servers.connections);
      try {
        for (let round = 0; round < ROUNDS; round++) await touchAll(db);
        const { rows } = await servers.query(
          0,
          `select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()`,
        );
        const sizes = await Promise.all(rows.map(({ pid }) => privateMb(pid)));
        return [
          {
            bench: 'backends',
            case: `${SHARDS.length} shards × ${TABLES.length} tables`,
            goal: 'at most 60',
            unit: 'MiB private in the largest backend',
            ours: rounded(Math.max(...sizes)),
            medianMb: rounded(median(sizes)),
            backends: sizes.length,
          },
        ];
      } finally {
        await db.disconnect();
      }
    },
    { ranges: ['1-513'], settings: { max_locks_per_transaction: 1_000, fsync: 'off' } },
  );

async function makeTables(servers: BenchServers): Promise<void> {
  for (const shardId of SHARDS) {
    const schema = schemaOf(shardId);
    const tables = TABLES.map(
      (table) => `create table ${schema}.${table} (id bigint primary key, name text, total numeric, made timestamptz);
        insert into ${schema}.${table} values (${idOf(shardId, 0)}, 'a', 1, now());`,
    );
    await servers.query(0, tables.join('\n'));
  }
}

/** All shards of a table at once, so that all sessions of the pool work. */
async function touchAll(db: Datastore): Promise<void> {
  for (const table of TABLES) {
    const rows = await Promise.all(SHARDS.map((shardId) => db.table(table).get(new Key(idOf(shardId, 0)))));
    if (rows.includes(null)) throw new Error(`rows of ${table} were not found`);
    await Promise.all(
      SHARDS.map((shardId) => db.withCursor(shardId, (cursor) => cursor.query(`select * from ${table} where id > 0`))),
    );
  }
}

/** Memory that belongs to one process alone, by Linux' own count. */
async function privateMb(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kib = [...text.matchAll(/^Private_\w+:\s+(\d+) kB/gm)].reduce((sum, [, size]) => sum + Number(size), 0);
  return kib / 1_024;
}
