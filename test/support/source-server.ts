// A private server that imports read from, MariaDB or MySQL: what both have in common.
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { onTestFinished } from 'vitest';
import { freePort } from '../../src/embedded/index.ts';
import { PID_FILE, PrivateServer } from './private-server.ts';

export interface SourceServer {
  /** As `root`, who may do everything, replication included. */
  readonly connection: { host: string; port: number; user: string; password: string };
  readonly pid: number | undefined;
  /** Tells where the binlog ends. */
  readonly statusStatement: string;
  /** Runs one statement, or many parted by `;`, on a connection of its own. */
  query(text: string, values?: unknown[], database?: string): Promise<unknown>;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** SIGKILL; the data stays for the next `start()`. */
  kill(): Promise<void>;
  /** Stops it and removes its data. */
  remove(): Promise<void>;
  log(): Promise<string>;
}

/** Settings of the server without dashes in front, e.g. `{ 'gtid-domain-id': 3 }`. */
export type ServerSettings = Record<string, string | number>;

export interface SourceServerOptions {
  readonly settings?: ServerSettings;
  /** Leaves `remove()` to the caller (for `beforeAll`). */
  readonly keep?: boolean;
}

/** A row binlog that holds whole rows and column names, and little of everything else. */
export const COMMON_SETTINGS: ServerSettings = {
  'bind-address': '127.0.0.1',
  'skip-name-resolve': 'on',
  'server-id': 1,
  'log-bin': 'binlog',
  'binlog-format': 'ROW',
  'binlog-row-image': 'FULL',
  'binlog-row-metadata': 'FULL',
  'character-set-server': 'utf8mb4',
  'innodb-buffer-pool-size': '32M',
  // A killed process loses nothing by these, only a lost machine does.
  'innodb-flush-log-at-trx-commit': 2,
  'sync-binlog': 0,
};

/** Makes the data with `prepare`, starts the program on it and waits until it answers. */
export async function runSourceServer(
  { settings = {}, keep = false }: SourceServerOptions,
  name: 'mariadb' | 'mysql',
  program: string,
  prepare: (server: PrivateServer, data: string) => Promise<void>,
): Promise<SourceServer> {
  const server = await PrivateServer.make(name);
  const data = join(server.folder, 'data');
  await prepare(server, data);
  const password = `${name}-secret`;
  const init = await server.write(
    'init.sql',
    `create user if not exists root@'127.0.0.1';
alter user root@'127.0.0.1' identified by '${password}';
grant all on *.* to root@'127.0.0.1' with grant option;
`,
  );
  const connection = { host: '127.0.0.1', port: await freePort(), user: 'root', password };
  const all = {
    ...settings,
    datadir: data,
    // A server that starts removes temporary tables from the folder, those of another one too
    tmpdir: server.folder,
    port: connection.port,
    socket: join(server.folder, 'socket'),
    'pid-file': join(server.folder, PID_FILE),
    'init-file': init,
  };
  const words = ['--no-defaults', ...Object.entries(all).map(([key, value]) => `--${key}=${value}`)];
  const query: SourceServer['query'] = async (text, values = [], database = '') => {
    const client = await createConnection({ ...connection, database, multipleStatements: true, connectTimeout: 5_000 });
    try {
      return (await client.query(text, values))[0];
    } finally {
      await client.end().catch(() => {});
    }
  };
  const answers = (): Promise<boolean> =>
    query('select 1').then(
      () => true,
      () => false,
    );
  const source: SourceServer = {
    connection,
    get pid() {
      return server.pid;
    },
    statusStatement: name === 'mysql' ? 'show binary log status' : 'show master status',
    query,
    start: () => server.start(program, words, answers),
    stop: () => server.stop(),
    kill: () => server.kill(),
    remove: () => server.remove(),
    log: () => server.log(),
  };
  if (!keep) onTestFinished(() => source.remove());
  await source.start();
  return source;
}
