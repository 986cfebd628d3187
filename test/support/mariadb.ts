// A private MariaDB: the source that most tests of imports read from.
import { COMMON_SETTINGS, runSourceServer, type SourceServer, type SourceServerOptions } from './source-server.ts';
import { findTool } from './tools.ts';

export type { SourceServer as Mariadb } from './source-server.ts';

const SETTINGS = { ...COMMON_SETTINGS, 'gtid-strict-mode': 'on', 'innodb-log-file-size': '16M' };

/** Starts a MariaDB of the test's own, or returns `undefined` after saying out loud what to install. */
export async function startMariadb({
  settings = {},
  ...options
}: SourceServerOptions = {}): Promise<SourceServer | undefined> {
  const program = findTool('mariadbd');
  const installer = findTool('mariadb-install-db');
  if (program === undefined || installer === undefined) return undefined;
  const whole = { ...options, settings: { ...SETTINGS, ...settings } };
  return runSourceServer(whole, 'mariadb', program, (server, data) =>
    server.runOnce(installer, [
      '--no-defaults',
      `--datadir=${data}`,
      `--tmpdir=${server.folder}`,
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
    ]),
  );
}
