// pg_chameleon beside us, on the same tables: HYPERVAULT_BENCH_CHAMELEON names its program (chameleon or chameleon.py of an
// installation, or a script that calls it). Without it the rival is left out.
import { stringify } from 'yaml';
import { PrivateServer } from '../../test/support/private-server.ts';
import { waitFor } from '../../test/support/wait-for.ts';
import { type ImportServers, SCHEMA } from './import-servers.ts';

export interface Chameleon {
  /** Its name and version, for the table of results. */
  readonly name: string;
  /** Copies all tables anew; the seconds that took. */
  copy(): Promise<number>;
  /** Replicates until its table holds what the source's does; the seconds that took. */
  follow(): Promise<number>;
  remove(): Promise<void>;
}

const TARGET = 'chameleon';
const SOURCE = 'big';

/** Registers the source with it; nothing is copied yet. */
export async function startChameleon(servers: ImportServers): Promise<Chameleon | undefined> {
  const program = process.env.HYPERVAULT_BENCH_CHAMELEON;
  if (program === undefined || program === '') {
    console.log('pg_chameleon is left out: HYPERVAULT_BENCH_CHAMELEON does not name its program');
    return undefined;
  }
  // It refuses to run as root, and keeps its files in the home of its user
  const place = await PrivateServer.make('chameleon');
  const words = (command: string): string[] => [`HOME=${place.folder}`, program, command, '--source', SOURCE];
  const run = (command: string): Promise<void> => place.runOnce('/usr/bin/env', words(command));
  try {
    await place.runOnce('/usr/bin/env', [`HOME=${place.folder}`, program, 'set_configuration_files']);
    await place.write('.pg_chameleon/configuration/default.yml', stringify(configuration(servers)));
    await place.runOnce('/usr/bin/env', [`HOME=${place.folder}`, program, 'create_replica_schema']);
    await run('add_source');
  } catch (error) {
    await place.remove();
    throw error;
  }
  return {
    name: 'pg_chameleon, direct mode',
    copy: async () => {
      const start = performance.now();
      await run('init_replica');
      const seconds = (performance.now() - start) / 1_000;
      await expectCopied(servers);
      return seconds;
    },
    follow: async () => {
      const wanted = await stateOf(servers.source, SCHEMA);
      const start = performance.now();
      const ready = async (): Promise<boolean> => (await targetState(servers)) === wanted;
      await place.start('/usr/bin/env', words('start_replica'), () => Promise.resolve(true));
      await waitFor(ready, { timeoutMs: 300_000, everyMs: 100, what: 'pg_chameleon having applied everything' });
      const seconds = (performance.now() - start) / 1_000;
      await run('stop_replica');
      await place.stop();
      return seconds;
    },
    remove: () => place.remove(),
  };
}

function configuration({ mariadb, connection }: ImportServers): object {
  return {
    pid_dir: '~/.pg_chameleon/pid/',
    log_dir: '~/.pg_chameleon/logs/',
    // In the foreground, that is
    log_dest: 'stdout',
    log_level: 'info',
    log_days_keep: 1,
    rollbar_key: '',
    rollbar_env: '',
    type_override: {},
    pg_conn: { ...connection, port: String(connection.port), charset: 'utf8' },
    sources: {
      [SOURCE]: {
        db_conn: {
          ...mariadb.connection,
          port: String(mariadb.connection.port),
          charset: 'utf8mb4',
          connect_timeout: 10,
        },
        schema_mappings: { [SCHEMA]: TARGET },
        limit_tables: [],
        skip_tables: [],
        grant_select_to: [],
        lock_timeout: '120s',
        my_server_id: 4242,
        replica_batch_size: 10_000,
        replay_max_rows: 10_000,
        batch_retention: '1 day',
        copy_max_memory: '300M',
        copy_mode: 'direct',
        out_dir: '/tmp',
        sleep_loop: 1,
        on_error_replay: 'exit',
        on_error_read: 'exit',
        auto_maintenance: 'disabled',
        gtid_enable: false,
        type: 'mysql',
        skip_events: { insert: [], delete: [], update: [] },
        keep_existing_schema: false,
      },
    },
  };
}

type Query = (sql: string) => Promise<unknown>;

async function stateOf(query: Query, schema: string): Promise<string> {
  const [row] = (await query(
    `select concat(count(*), ' rows up to ', coalesce(max(id), 0)) as state from ${schema}.big`,
  )) as {
    state: string;
  }[];
  return row!.state;
}

function targetState(servers: ImportServers): Promise<string> {
  return stateOf((sql) => servers.query(sql), TARGET);
}

async function expectCopied(servers: ImportServers): Promise<void> {
  const [theirs, source] = [await targetState(servers), await stateOf(servers.source, SCHEMA)];
  if (theirs !== source) throw new Error(`pg_chameleon has ${theirs}, the source ${source}`);
}
