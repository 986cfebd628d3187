// Where a MySQL server for tests may be: one that is named, one on the PATH, or the one that `npm run test:mysql` fetched.
import { existsSync, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The place of the fetched server. Not the folder of temporary files, which is another one while tests run. */
export function fetchedMysqld(): { path: string; present: boolean } {
  const path = join('/var/tmp/pg-hypervault-mysql', 'server', 'mysqld');
  return { path, present: existsSync(path) };
}

/** The program, or `undefined` after saying out loud how to get one. */
export function findMysqld(): string | undefined {
  const named = process.env.HYPERVAULT_TEST_MYSQLD;
  if (named !== undefined && named !== '') {
    if (!existsSync(named)) throw new Error(`HYPERVAULT_TEST_MYSQLD names ${named}, which is not there`);
    return named;
  }
  const fetched = fetchedMysqld();
  if (fetched.present) return fetched.path;
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin'];
  // MariaDB's packages leave its server under this name too
  const installed = folders
    .map((folder) => join(folder, 'mysqld'))
    .find((path) => existsSync(path) && !realpathSync(path).includes('mariadb'));
  if (installed === undefined) {
    console.warn('SKIPPED: no MySQL server; run: npm run test:mysql, or name a mysqld in HYPERVAULT_TEST_MYSQLD');
  }
  return installed;
}
