// How long do 512 shards take to be made, and to be migrated, against psql running the same SQL?
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { shardMapOf } from 'pg-hypervault';
import { clusterStatus, documentOf, fsck, initCluster, migrate } from 'pg-hypervault/cluster';
import { startEmbedded } from 'pg-hypervault/embedded';
import { type Result, rounded } from './support/result.ts';
import { schemaOf } from './support/servers.ts';

const SHARDS = 512;

const FILES: Readonly<Record<string, string>> = {
  '001-orders.sql':
    '-- Orders.\ncreate table orders (id bigint primary key default next_id(), customer bigint not null, total numeric, note text);\n',
  '002-orders-customer.sql': 'create index orders_customer on orders (customer);\n',
};

export async function run(): Promise<Result[]> {
  const embedded = await startEmbedded({ settings: { max_locks_per_transaction: 256 } });
  const folder = await mkdtemp(join(tmpdir(), 'shards-'));
  try {
    const [{ connection }] = embedded.servers as [(typeof embedded.servers)[0]];
    const connections = [{ ...connection, name: 'a', shards: `0-${SHARDS}` }];
    const init = await timed(() => initCluster(connections, connection));
    const again = await timed(() => initCluster(connections, connection));
    for (const [name, text] of Object.entries(FILES)) await writeFile(join(folder, name), text);
    const map = shardMapOf(connections);
    const ours = await timed(() => migrate(map, { directory: folder }));
    const nothing = await timed(() => migrate(map, { directory: folder }));
    const psql = await timed(() => byPsql(connection, folder));
    const status = await timed(() => clusterStatus(map, { control: connection }));
    const check = await timed(() => fsck(documentOf(map, 1n), { a: connection }));
    return [
      {
        bench: 'shards-512',
        case: 'init',
        goal: 'at most 10 s',
        unit: 's',
        ours: init,
        againSeconds: again,
        processors: cpus().length,
      },
      {
        bench: 'shards-512',
        case: 'migrate, two files',
        goal: 'at most 1.5 × psql',
        unit: 's',
        ours,
        rivals: { 'psql, one session': psql },
        againSeconds: nothing,
      },
      { bench: 'shards-512', case: 'status', unit: 's', ours: status },
      { bench: 'shards-512', case: 'fsck', unit: 's', ours: check },
    ];
  } finally {
    await embedded.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** The same statements under another name, each file and shard in a transaction of its own, in one session. */
async function byPsql(
  {
    host,
    port,
    user,
    password,
    database,
  }: { host: string; port: number; user: string; password: string; database: string },
  folder: string,
): Promise<void> {
  const script = Array.from({ length: SHARDS }, (_, shardId) =>
    Object.values(FILES)
      .map(
        (text) =>
          `begin;\nset local search_path to ${schemaOf(shardId)}, public;\n${text.replaceAll('orders', 'bills')}commit;\n`,
      )
      .join(''),
  ).join('');
  const file = join(folder, 'all.psql');
  await writeFile(file, script);
  const words = [
    '-q',
    '-X',
    '-v',
    'ON_ERROR_STOP=1',
    '-h',
    host,
    '-p',
    String(port),
    '-U',
    user,
    '-d',
    database,
    '-f',
    file,
  ];
  await promisify(execFile)('psql', words, { env: { ...process.env, PGPASSWORD: password } });
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return rounded((performance.now() - started) / 1_000);
}
