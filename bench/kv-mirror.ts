// How soon does another process see a save, and how long does a mirror of 10,000 keys take to be ready? Beside it the least
// that Postgres needs for either, in the same run: an insert that notifies, heard over there; the rows in one select.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import pg from 'pg';
import type { ConnectionSettings } from 'pg-hypervault';
import { startEmbedded } from 'pg-hypervault/embedded';
import { CommitKeeper, KvDatabase, PostgresCommitStorage } from 'pg-hypervault/kv';
import { median, rounded } from './support/result.ts';

const KEYS = 1_000;
const SAVES = 500;
const EVERY_MS = 10;
const MANY_KEYS = 10_000;
const STARTS = 7;

export async function run(): Promise<object[]> {
  await using servers = await startEmbedded();
  const connection = servers.connections[0]!;
  const database = new KvDatabase({ connection });
  try {
    return [...(await latency(connection, database)), await start(connection, database)];
  } finally {
    await database.close();
  }
}

const BARE = "with kept as (insert into bare values ($1, $2)) select pg_notify('bare', $1)";

async function latency(connection: ConnectionSettings, database: KvDatabase): Promise<object[]> {
  const storage = await filled(database, 'latency', KEYS);
  const bare = new pg.Pool({ ...(connection as pg.PoolConfig), max: 5 });
  bare.on('error', () => {});
  await bare.query('create table bare (name text primary key, payload bytea)');
  const child = fork(import.meta.filename, ['mirror', JSON.stringify({ connection, table: 'latency' })]);
  await once(child, 'message');
  const [begun, acknowledged, seen] = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()];
  child.on('message', ({ name, at }: { name: string; at: number }) => seen.set(name, at));
  const saves: Promise<unknown>[] = [];
  for (let n = 0; n < SAVES; n++) {
    const [key, version] = [`key${n % KEYS}`, 2 + Math.floor(n / KEYS)];
    const name = `${key}/${version}`;
    begun.set(name, now());
    saves.push(
      storage.save({ key, version, payload: Buffer.from(`{"n":${n}}`) }).then(() => void acknowledged.set(name, now())),
    );
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS / 2));
    const own = `bare${n}`;
    begun.set(own, now());
    saves.push(bare.query({ name: 'bare', text: BARE, values: [own, Buffer.from(`{"n":${n}}`)] }));
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS / 2));
  }
  await Promise.all(saves);
  while (seen.size < 2 * SAVES) await new Promise((resolve) => setTimeout(resolve, 10));
  child.send('end');
  await once(child, 'exit');
  await bare.end();
  const since = (times: ReadonlyMap<string, number>, ours: boolean): number[] =>
    [...seen]
      .filter(([name]) => ours === !name.startsWith('bare'))
      .map(([name, at]) => at - times.get(name)!)
      .sort((a, b) => a - b);
  const [fromBegin, fromAcknowledgement, least] = [since(begun, true), since(acknowledged, true), since(begun, false)];
  return [
    {
      bench: 'kv-mirror',
      case: `save seen in another process, ${KEYS} keys, 100 saves/s`,
      goal: 'at most 10 at the median, 50 at p99',
      unit: 'ms from the call of save()',
      ours: rounded(median(fromBegin)),
      p99: rounded(fromBegin[Math.floor(SAVES * 0.99)]!),
      fromAcknowledgement: rounded(median(fromAcknowledgement)),
      rivals: { 'bare insert and NOTIFY, heard there': rounded(median(least)) },
      rivalP99: rounded(least[Math.floor(SAVES * 0.99)]!),
    },
  ];
}

async function start(connection: ConnectionSettings, database: KvDatabase): Promise<object> {
  await filled(database, 'start', MANY_KEYS);
  const [times, least]: [number[], number[]] = [[], []];
  for (let n = 0; n < STARTS; n++) {
    const own = new KvDatabase({ connection });
    const started = performance.now();
    const mirror = await new CommitKeeper({ connection: own, table: 'start' }).mirror();
    times.push(performance.now() - started);
    const asked = performance.now();
    const client = new pg.Client(connection as pg.ClientConfig);
    await client.connect();
    const { rows } = await client.query("select * from hypervault.kv_heads where namespace = 'start'");
    if (new Map(rows.map((row) => [row.key, row])).size !== MANY_KEYS) throw new Error('rows are missing');
    least.push(performance.now() - asked);
    await client.end();
    if (mirror.current.size !== MANY_KEYS) throw new Error(`the mirror has ${mirror.current.size} keys`);
    await mirror.close();
    await own.close();
  }
  return {
    bench: 'kv-mirror',
    case: `a mirror of ${MANY_KEYS} keys is ready, sessions included`,
    goal: 'at most 300',
    unit: 'ms',
    ours: rounded(median(times)),
    first: rounded(times[0]!),
    rivals: { 'connect, select, a Map of the rows': rounded(median(least)) },
  };
}

async function filled(database: KvDatabase, table: string, keys: number): Promise<PostgresCommitStorage> {
  const storage = new PostgresCommitStorage({ connection: database, table });
  await storage.start();
  for (let at = 0; at < keys; at += 500) {
    const batch = Array.from({ length: Math.min(500, keys - at) }, (_, n) => ({
      key: `key${at + n}`,
      version: 1,
      payload: Buffer.from(JSON.stringify({ on: true, n, text: 'x'.repeat(100) })),
      author: 'bench',
    }));
    await storage.saveAll(batch);
  }
  return storage;
}

/** Milliseconds by a clock that both processes share. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

if (process.argv[2] === 'mirror') {
  const { connection, table } = JSON.parse(process.argv[3]!) as { connection: ConnectionSettings; table: string };
  const database = new KvDatabase({ connection });
  const mirror = await new CommitKeeper({ connection: database, table }).mirror();
  mirror.on('change', ({ key, commit }) => process.send!({ name: `${key}/${commit?.version}`, at: now() }));
  const listener = new pg.Client(connection as pg.ClientConfig);
  listener.on('notification', ({ payload }) => process.send!({ name: payload, at: now() }));
  await listener.connect();
  await listener.query('listen bare');
  process.on('message', async () => {
    await Promise.all([mirror.close(), listener.end()]);
    await database.close();
    process.disconnect();
  });
  process.send!('ready');
}
