import type { Client } from 'pg';
import { expect, test } from 'vitest';
import { InvalidArgumentError, PermissionError, SchemaError } from '../../src/errors.ts';
import { type RunMigrationsOptions, readLedger, runMigrations } from '../../src/internal/migrations.ts';
import { readSqlFolder, type SqlFile, type SqlFileKind, sqlFile } from '../../src/internal/sql-files.ts';
import { SQLSTATE } from '../../src/internal/sqlstate.ts';
import { freshDatabase } from '../support/database.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

const LEDGER = { schema: 'shop', table: 'ledger', module: 'shop', scope: 'shard' };
const LOCK = { class: 77, key: 1 };

function file(name: string, text: string, kind: SqlFileKind = 'migration'): SqlFile {
  return sqlFile(kind, name, `sql/shop/${name}`, text);
}

const ORDERS = file('001-orders.sql', 'create table :"schema".orders (id bigint primary key);');
const NAMES = file('002-names.sql', `alter table :"schema".orders add name text default :'name';`);
const ONE = file(
  'one.sql',
  'create or replace function :"schema".one() returns integer language sql return 1;',
  'function',
);
const TWO = file(
  'one.sql',
  'create or replace function :"schema".one() returns integer language sql return 2;',
  'function',
);

function run(client: Client, files: readonly SqlFile[], more: Partial<RunMigrationsOptions> = {}) {
  return runMigrations({ client, files, ledger: LEDGER, lock: LOCK, variables: { name: 'none' }, ...more });
}

test('runs what is missing, once, and functions again when their text changed', async () => {
  const client = await (await freshDatabase()).client();
  const steps: string[] = [];
  const onStep = ({ file: { name } }: { file: SqlFile }): void => void steps.push(name);
  await run(client, [ORDERS, ONE], { onStep });
  await run(client, [ORDERS, NAMES, ONE], { onStep });
  await run(client, [ORDERS, NAMES, ONE], { onStep });
  await run(client, [ORDERS, NAMES, TWO], { onStep });
  expect(steps).toEqual(['001-orders.sql', 'one.sql', '002-names.sql', 'one.sql']);
  await client.query('insert into shop.orders values (1)');
  const { rows } = await client.query('select name, shop.one() as one from shop.orders');
  expect(rows).toEqual([{ name: 'none', one: 2 }]);
  const ledger = await readLedger(client, LEDGER);
  expect(ledger.map(({ kind, name, hash }) => [kind, name, hash])).toEqual([
    ['migration', '001-orders.sql', ORDERS.hash],
    ['migration', '002-names.sql', NAMES.hash],
    ['function', 'one.sql', TWO.hash],
  ]);
});

test('says what would run without running it', async () => {
  const client = await (await freshDatabase()).client();
  await run(client, [ORDERS]);
  const { applied } = await run(client, [ORDERS, NAMES], { dryRun: true });
  expect(applied).toEqual([NAMES]);
  expect(await readLedger(client, LEDGER)).toHaveLength(1);
});

test('an error undoes everything of its transaction, and names file, line and schema', async () => {
  const client = await (await freshDatabase()).client();
  const broken = file('003-broken.sql', '-- a comment\ncreate table :"schema".x ();\n\nselect oops;');
  const error = await rejection(run(client, [ORDERS, NAMES, broken]));
  expect(error).toBeInstanceOf(SchemaError);
  expect(error.message).toBe(
    'sql/shop/003-broken.sql line 4 in shop: column "oops" does not exist (42703); nothing of this file was kept',
  );
  expect(error.cause).toMatchObject({ code: '42703' });
  expect((await client.query(`select to_regnamespace('shop') as there`)).rows).toEqual([{ there: null }]);
  // One transaction for each file keeps the ones before.
  await rejection(run(client, [ORDERS, NAMES, broken], { transaction: 'each' }));
  expect((await readLedger(client, LEDGER)).map(({ name }) => name)).toEqual(['001-orders.sql', '002-names.sql']);
});

test('a changed file, a number below the highest and a newer release are refused', async () => {
  const client = await (await freshDatabase()).client();
  await run(client, [ORDERS, NAMES]);
  const changed = await rejection(run(client, [file('001-orders.sql', 'select 1'), NAMES]));
  expect(changed).toBeInstanceOf(SchemaError);
  expect(changed.message).toMatch(/^sql\/shop\/001-orders\.sql was changed after it ran in shop/);
  const late = await rejection(run(client, [ORDERS, file('001-late.sql', 'select 1'), NAMES]));
  expect(late.message).toMatch(/001-late\.sql is new, but shop has migrations up to 2 already/);
  await run(client, [ORDERS, NAMES, file('003-break.sql', '-- schema release: 2\nselect 1')]);
  const older = await rejection(run(client, [ORDERS, NAMES, ONE]));
  expect(older).toBeInstanceOf(SchemaError);
  expect(older.message).toMatch(/schema release 2 and this program knows only 1/);
});

test('line ends don’t change a file, and what a newer program added is told', async () => {
  const client = await (await freshDatabase()).client();
  const unix = file('001-orders.sql', 'create table :"schema".orders ();\n');
  await run(client, [unix, file('002-more.sql', 'select 1')]);
  const { applied, unknown } = await run(client, [file('001-orders.sql', unix.text.replace('\n', '\r\n'))]);
  expect(applied).toEqual([]);
  expect(unknown).toEqual(['002-more.sql']);
});

test('an older package leaves the functions of a newer one alone', async () => {
  const client = await (await freshDatabase()).client();
  await run(client, [ORDERS, TWO], { packageVersion: '0.10.0' });
  for (const packageVersion of ['0.9.3', '0.2.11-beta.1']) await run(client, [ORDERS, ONE], { packageVersion });
  expect((await client.query('select shop.one()')).rows).toEqual([{ one: 2 }]);
  await run(client, [ORDERS, ONE], { packageVersion: '0.10.0' });
  expect((await client.query('select shop.one()')).rows).toEqual([{ one: 1 }]);
});

test('eight at once make everything exactly once', async () => {
  const db = await freshDatabase();
  const clients = await Promise.all(Array.from({ length: 8 }, () => db.client()));
  for (const transaction of ['all', 'each'] as const) {
    const results = await Promise.all(clients.map((client) => run(client, [ORDERS, NAMES, ONE], { transaction })));
    expect(results.flatMap(({ applied }) => applied)).toHaveLength(3);
    await db.query('drop schema shop cascade');
  }
});

test('of two that take no common lock, one stumbles over the key of the ledger', async () => {
  const db = await freshDatabase();
  const [first, second] = [await db.client(), await db.client()];
  await run(first!, [ORDERS]);
  await first!.query('begin');
  await first!.query(
    `insert into shop.ledger (module, scope, kind, name, hash, release)
     values ('shop', 'shard', 'migration', '002-names.sql', $1, 1)`,
    [NAMES.hash],
  );
  const beaten = rejection(run(second!, [ORDERS, NAMES], { lock: { class: 77, key: 2 } }));
  await waitFor(async () => (await db.query(`select from pg_locks where not granted`)).rowCount);
  await first!.query('commit');
  expect(await beaten).toMatchObject({ code: 'SCHEMA', retryable: true });
});

test('a file that ends its transaction is refused', async () => {
  const client = await (await freshDatabase()).client();
  for (const text of ['commit', 'rollback', 'commit; begin', 'create table :"schema".x (); commit; select 1']) {
    const error = await rejection(run(client, [file('001-x.sql', text)]));
    expect(error.message).toMatch(/001-x\.sql ended the transaction it runs in/);
    await client.query('drop schema if exists shop cascade');
  }
});

test('a session inside a transaction is refused, and one that is aborted ends', async () => {
  const db = await freshDatabase();
  const client = await db.client();
  await client.query('begin');
  expect(await rejection(run(client, [ORDERS]))).toBeInstanceOf(InvalidArgumentError);
  await client.query('rollback');

  const stop = new AbortController();
  const slow = rejection(run(client, [file('001-slow.sql', 'select pg_sleep(60)')], { signal: stop.signal }));
  await waitFor(
    async () => (await db.query(`select from pg_stat_activity where query like 'select pg_sleep(60)%'`)).rowCount,
  );
  stop.abort(new Error('enough'));
  expect((await slow).code).toBe('ABORTED');
  expect((await db.query(`select to_regclass('shop.ledger') as there`)).rows).toEqual([{ there: null }]);
});

test('a wait for a table is bounded when asked', async () => {
  const db = await freshDatabase();
  const [client, holder] = [await db.client(), await db.client()];
  await run(client!, [ORDERS]);
  await holder!.query('begin; select * from shop.orders');
  const error = await rejection(run(client!, [ORDERS, NAMES], { lockTimeoutMs: 50 }));
  expect(error).toMatchObject({ code: 'SCHEMA', retryable: true, cause: { code: SQLSTATE.lockNotAvailable } });
  await holder!.query('rollback');
  expect((await run(client!, [ORDERS, NAMES], { lockTimeoutMs: 50 })).applied).toEqual([NAMES]);
});

test('users’ files keep their text in the ledger and find their schema first', async () => {
  const client = await (await freshDatabase()).client();
  const plain = file('001-plain.sql', 'create table things (id bigint);');
  await run(client, [plain], { searchPath: ['shop', 'public'], keepSource: true });
  expect((await client.query(`select to_regclass('shop.things') is not null as there`)).rows[0].there).toBe(true);
  expect((await readLedger(client, LEDGER))[0]!.source).toBe(plain.text);
  // Ours name every schema: one that doesn't is found out.
  expect((await rejection(run(client, [plain, file('002-y.sql', 'create table y ()')]))).message).toMatch(
    /no schema has been selected|permission denied/,
  );
});

test('a role without rights is told which one it lacks', async () => {
  const db = await freshDatabase();
  const role = `migrator_${process.pid}`;
  await db.query(`create role ${role} login password 'm'`);
  try {
    const { Client: PgClient } = (await import('pg')).default;
    const client = new PgClient({ ...db.connection, user: role, password: 'm' });
    await client.connect();
    const error = await rejection(run(client, [ORDERS]));
    expect(error).toBeInstanceOf(PermissionError);
    expect(error.message).toMatch(/permission denied for database .*grant create on database/);
    await client.end();
  } finally {
    await db.query(`drop role ${role}`);
  }
});

test('a folder is read by number, and a number given twice is refused', async () => {
  const folder = new URL('../../sql/core/shard/', import.meta.url);
  const files = await readSqlFolder(folder, 'sql/core/shard/');
  expect(files.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
    'migration 001-ids.sql',
    'migration 002-entities.sql',
    'migration 003-owner.sql',
    'function next-ids.sql',
  ]);
  expect(await readSqlFolder(new URL('nothing/', folder), 'x/')).toEqual([]);
});
