// What install makes, as committed text; and the same made by psql alone.
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { install } from '../../src/core/index.ts';
import { sqlModules } from '../../src/internal/sql-files.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { findTool } from '../support/tools.ts';
import { describeSchemas } from './schema-catalogue.ts';

const SQL = new URL('../../sql/', import.meta.url);

test('the schema is the committed one', async () => {
  const db = await freshDatabase();
  await install([{ ...db.connection, shards: '5-6' }]);
  await expect(await describeSchemas(db, ['hypervault', 'shard0005'])).toMatchFileSnapshot('schema.snapshot.sql');
});

test('every SQL file of every module runs in psql alone, twice over where it may, and makes the same', async () => {
  const psql = findTool('psql');
  if (psql === undefined) return;
  const [made, byHand] = [await freshDatabase(), await freshDatabase()];
  await install([{ ...made.connection, shards: '5-6' }]);
  const variables = {
    schema: 'hypervault',
    ledger: 'ledger',
    hstore_schema: 'public',
    epoch: '1379365531352',
    slots: '1',
    first_shard: '5',
    prefix: 'shard',
    role: 'public',
  };
  const shard = {
    ...variables,
    schema: 'shard0005',
    ledger: 'hv_ledger',
    shard: '5',
    sequence: 'shard0005.table_id_seq',
    server: '',
  };
  const ledger = ['ledger/schema.sql', 'ledger/ledger.sql'];
  runPsql(psql, byHand, [...ledger, ...filesOf('core/server')], variables);
  runPsql(psql, byHand, [...ledger, ...filesOf('core/shard')], shard);
  const schemas = ['hypervault', 'shard0005'];
  expect(await describeSchemas(byHand, schemas)).toBe(await describeSchemas(made, schemas));
  expect((await byHand.query('select shard0005.next_id()')).rowCount).toBe(1);

  // The other modules stand on it; what may be run again is run again.
  for (const [scope, values] of [
    ['server', variables],
    ['control', variables],
    ['shard', shard],
  ] as const) {
    for (const module of await sqlModules(scope)) {
      const files = filesOf(`${module}/${scope}`);
      const again = files.filter((path) => !/\/\d+-[^/]*$/.test(path));
      runPsql(psql, byHand, module === 'core' ? again : [...files, ...again], values);
    }
  }
});

/** Numbered files, functions, views, then the grants: the order of install. */
function filesOf(folder: string): string[] {
  const paths = ['', 'functions/', 'views/'].flatMap((subfolder) => {
    try {
      return readdirSync(new URL(`${folder}/${subfolder}`, SQL))
        .filter((name) => name.endsWith('.sql'))
        .sort()
        .map((name) => `${folder}/${subfolder}${name}`);
    } catch {
      return [];
    }
  });
  const grants = `${folder}/grants.sql`;
  return [...paths.filter((path) => path !== grants), ...paths.filter((path) => path === grants)];
}

function runPsql(psql: string, db: TestDatabase, files: readonly string[], variables: Record<string, string>): void {
  if (files.length === 0) return;
  const { host, port, user, password, database } = db.connection;
  execFileSync(
    psql,
    [
      '-Xq1',
      ...['-v', 'ON_ERROR_STOP=1'],
      ...Object.entries(variables).flatMap(([name, value]) => ['-v', `${name}=${value}`]),
      ...files.flatMap((path) => ['-f', path]),
    ],
    {
      cwd: SQL,
      env: {
        ...process.env,
        PGHOST: host,
        PGPORT: String(port),
        PGUSER: user,
        PGPASSWORD: password,
        PGDATABASE: database,
      },
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
    },
  );
}
