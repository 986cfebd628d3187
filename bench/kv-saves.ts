// How many saves a second with 8 and with 64 writers in one process, each on a key of its own? Beside it the same saves
// each in a transaction of its own, and a bare insert of the same row.
import pg from 'pg';
import { startEmbedded } from 'pg-hypervault/embedded';
import { KvDatabase, PostgresCommitStorage } from 'pg-hypervault/kv';
import { rounded } from './support/result.ts';

const FOR_MS = 2_500;
const POOL_MAX = 10;
const PAYLOAD = Buffer.from(JSON.stringify({ on: true, text: 'x'.repeat(200) }));

const SAVE = 'select hypervault.kv_save($1, $2, $3, $4, $5, $6, $7)';

export async function run(): Promise<object[]> {
  await using servers = await startEmbedded();
  const connection = servers.connections[0]!;
  const database = new KvDatabase({ connection, poolMax: POOL_MAX, waitTimeoutMs: 30_000 });
  const pool = new pg.Pool({ ...(connection as pg.PoolConfig), max: POOL_MAX });
  pool.on('error', () => {});
  await pool.query('create table bare (key text, version int, payload bytea, primary key (key, version))');
  try {
    const results: object[] = [];
    for (const writers of [8, 64]) {
      const storage = new PostgresCommitStorage({ connection: database, table: `w${writers}` });
      await storage.start();
      const ours = await rate(writers, (key, version) => storage.save({ key, version, payload: PAYLOAD }));
      const alone = await rate(writers, (key, version) =>
        pool.query({
          name: 'save',
          text: SAVE,
          values: [`alone${writers}`, key, version, PAYLOAD, 'bench', '', new Date()],
        }),
      );
      const bare = await rate(writers, (key, version) =>
        pool.query('insert into bare values ($1, $2, $3)', [`${writers}.${key}`, version, PAYLOAD]),
      );
      results.push({
        bench: 'kv-saves',
        case: `${writers} writers, ${POOL_MAX} sessions, one namespace`,
        unit: 'saves/s',
        ours: rounded(ours),
        rivals: {
          'each save in a transaction of its own': rounded(alone),
          'bare insert, no journal, no head, no notification': rounded(bare),
        },
      });
    }
    return results;
  } finally {
    await pool.end();
    await database.close();
  }
}

async function rate(writers: number, save: (key: string, version: number) => Promise<unknown>): Promise<number> {
  const end = performance.now() + FOR_MS;
  let count = 0;
  await Promise.all(
    Array.from({ length: writers }, async (_, n) => {
      for (let version = 1; performance.now() < end; version++) {
        await save(`key${n}`, version);
        count += 1;
      }
    }),
  );
  return (count * 1_000) / FOR_MS;
}
