// A private MySQL server, where there is one; see mysqld.ts for where it comes from.
import { findMysqld } from './mysqld.ts';
import { COMMON_SETTINGS, runSourceServer, type SourceServer, type SourceServerOptions } from './source-server.ts';

const SMALL = { 'innodb-redo-log-capacity': '16M', mysqlx: 'off', 'secure-file-priv': '', 'performance-schema': 'off' };

const { 'binlog-format': _, ...KEPT } = COMMON_SETTINGS;

const SETTINGS = { ...KEPT, ...SMALL, 'gtid-mode': 'on', 'enforce-gtid-consistency': 'on' };

/** Starts a MySQL of the test's own, or returns `undefined` after saying out loud how to get one. */
export async function startMysql({
  settings = {},
  ...options
}: SourceServerOptions = {}): Promise<SourceServer | undefined> {
  const program = findMysqld();
  if (program === undefined) return undefined;
  const whole = { ...options, settings: { ...SETTINGS, ...settings } };
  return runSourceServer(whole, 'mysql', program, (server, data) =>
    server.runOnce(program, [
      '--no-defaults',
      '--initialize-insecure',
      `--datadir=${data}`,
      `--tmpdir=${server.folder}`,
      ...INITIAL,
    ]),
  );
}

const INITIAL = ['--innodb-redo-log-capacity=16M', '--innodb-flush-log-at-trx-commit=0', '--sync-binlog=0'];
