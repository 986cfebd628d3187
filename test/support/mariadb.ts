// A private MariaDB with a row binlog that holds whole rows and column names: the source that imports read from.
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { onTestFinished } from 'vitest';
import { freePort } from '../../src/embedded/index.ts';
import { PID_FILE, PrivateServer } from './private-server.ts';
import { findTool } from './tools.ts';

export interface Mariadb {
  /** As `root`, who may do everything, replication included. */
  readonly connection: { host: string; port: number; user: string; password: string };
  readonly pid: number | undefined;
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

const PASSWORD = 'mariadb-secret';

const SETTINGS = {
  'bind-address': '127.0.0.1',
  'skip-name-resolve': 'on',
  'server-id': 1,
  'log-bin': 'binlog',
  'binlog-format': 'ROW',
  'binlog-row-image': 'FULL',
  'binlog-row-metadata': 'FULL',
  'gtid-strict-mode': 'on',
  'character-set-server': 'utf8mb4',
  'innodb-buffer-pool-size': '32M',
  'innodb-log-file-size': '16M',
  // A killed process loses nothing by these, only a lost machine does.
  'innodb-flush-log-at-trx-commit': 2,
  'sync-binlog': 0,
};

/**
 * Starts a MariaDB of the test's own, or returns `undefined` after saying out loud what to install.
 *
 * @param options.settings - server settings without dashes in front, e.g. `{ 'gtid-domain-id': 3 }`
 * @param options.keep - leaves `remove()` to the caller (for `beforeAll`)
 */
export async function startMariadb({
  settings = {},
  keep = false,
}: {
  settings?: Record<string, string | number>;
  keep?: boolean;
} = {}): Promise<Mariadb | undefined> {
  const program = findTool('mariadbd');
  const installer = findTool('mariadb-install-db');
  if (program === undefined || installer === undefined) return undefined;
  const server = await PrivateServer.make('mariadb');
  const data = join(server.folder, 'data');
  await server.runOnce(installer, [
    '--no-defaults',
    `--datadir=${data}`,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
  ]);
  const init = await server.write(
    'init.sql',
    `create user if not exists root@'127.0.0.1';
alter user root@'127.0.0.1' identified by '${PASSWORD}';
grant all on *.* to root@'127.0.0.1' with grant option;
`,
  );
  const connection = { host: '127.0.0.1', port: await freePort(), user: 'root', password: PASSWORD };
  const all = {
    ...SETTINGS,
    ...settings,
    datadir: data,
    port: connection.port,
    socket: join(server.folder, 'socket'),
    'pid-file': join(server.folder, PID_FILE),
    'init-file': init,
  };
  const words = ['--no-defaults', ...Object.entries(all).map(([name, value]) => `--${name}=${value}`)];
  const query: Mariadb['query'] = async (text, values = [], database = '') => {
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
  const mariadb: Mariadb = {
    connection,
    get pid() {
      return server.pid;
    },
    query,
    start: () => server.start(program, words, answers),
    stop: () => server.stop(),
    kill: () => server.kill(),
    remove: () => server.remove(),
    log: () => server.log(),
  };
  if (!keep) onTestFinished(() => mariadb.remove());
  await mariadb.start();
  return mariadb;
}
