// A private PgBouncer in transaction mode in front of one server.
import pg from 'pg';
import { onTestFinished } from 'vitest';
import { freePort } from '../../src/embedded/index.ts';
import { PID_FILE, PrivateServer } from './private-server.ts';
import { findTool } from './tools.ts';

type Target = { host: string; port: number; user: string; password: string; database: string };

export interface Pgbouncer {
  /** The target's settings, with the pooler's port. */
  readonly connection: Target;
  readonly port: number;
  readonly pid: number | undefined;
  start(): Promise<void>;
  stop(): Promise<void>;
  kill(): Promise<void>;
  /** Stops it and removes its folder. */
  remove(): Promise<void>;
  log(): Promise<string>;
}

/**
 * Starts a PgBouncer of the test's own, or returns `undefined` after saying out loud what to install.
 *
 * @param target - the server behind it, logged in with SCRAM
 * @param options.auth - how clients prove themselves. @default 'scram-sha-256'
 * @param options.settings - further lines of `pgbouncer.ini`
 * @param options.keep - leaves `remove()` to the caller (for `beforeAll`)
 */
export async function startPgbouncer(
  target: Target,
  {
    auth = 'scram-sha-256',
    settings = {},
    keep = false,
  }: { auth?: 'scram-sha-256' | 'trust'; settings?: Record<string, string | number>; keep?: boolean } = {},
): Promise<Pgbouncer | undefined> {
  const program = findTool('pgbouncer');
  if (program === undefined) return undefined;
  const server = await PrivateServer.make('pgbouncer');
  const port = await freePort();
  const users = await server.write('users', `"${target.user}" "${target.password}"\n`);
  const all = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: auth,
    auth_file: users,
    pool_mode: 'transaction',
    default_pool_size: 5,
    max_client_conn: 500,
    ignore_startup_parameters: 'extra_float_digits',
    pidfile: `${server.folder}/${PID_FILE}`,
    ...settings,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}`);
  const file = await server.write(
    'pgbouncer.ini',
    `[databases]\n* = host=${target.host} port=${target.port}\n[pgbouncer]\n${lines.join('\n')}\n`,
  );
  const connection = { ...target, host: '127.0.0.1', port };
  const pgbouncer: Pgbouncer = {
    connection,
    port,
    get pid() {
      return server.pid;
    },
    start: () => server.start(program, [file], () => answers(connection)),
    stop: () => server.stop(),
    kill: () => server.kill(),
    remove: () => server.remove(),
    log: () => server.log(),
  };
  if (!keep) onTestFinished(() => pgbouncer.remove());
  await pgbouncer.start();
  return pgbouncer;
}

async function answers(connection: Target): Promise<boolean> {
  const client = new pg.Client({ ...connection, connectionTimeoutMillis: 2_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}
