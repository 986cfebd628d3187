// Killed between the commits of two servers, and then the log between the workers is thrown away.
import { expect, it, onTestFinished } from 'vitest';
import { ReplicaEngine } from '../../src/import/index.ts';
import { freshDatabases, type TestDatabase } from '../support/database.ts';
import { waitFor } from '../support/wait-for.ts';
import { mariadbOfFile } from './fixture.ts';
import { holdOpen } from './held-session.ts';
import { startReplicaProcess } from './replica-process.ts';
import { shardedConfig } from './sharded-config.ts';

const mariadb = mariadbOfFile();
const SOON = { timeoutMs: 50_000, everyMs: 10 };

it('reads for each server only what it lacks when the log is thrown away (mode log)', {
  timeout: 120_000,
}, async () => {
  const schema = `uneven_${process.pid}`;
  const source = (sql: string): Promise<unknown> => mariadb().query(sql, [], schema);
  await mariadb().query(`create database ${schema}`);
  onTestFinished(() =>
    mariadb()
      .query(`drop database ${schema}`)
      .then(() => {}),
  );
  await source('create table c (id int primary key); create table other (id int primary key, k int not null)');
  const databases = await freshDatabases({ installed: true });
  const [ahead, behind] = databases;
  const config = shardedConfig(databases, {
    mode: 'log',
    db_conn: mariadb().connection,
    schema_mappings: { [schema]: 'reference' },
    shard_by: { other: 'k' },
    reference_tables: ['c'],
  });
  const engine = new ReplicaEngine({ config });
  onTestFinished(() => engine.close());
  await engine.createReplicaSchema();
  await engine.addSource('shop');
  await engine.initReplica('shop');
  // While one batch goes into the log, more than one transaction comes together for the next
  await ahead.query(`create function public.take_long() returns trigger language plpgsql as $$
    begin perform pg_sleep(0.7); return new; end $$;
    create trigger take_long before insert on hypervault.import_log for each row execute function public.take_long()`);
  const idsOn = async (database: TestDatabase): Promise<number[]> =>
    (await database.query('select id from reference.c order by 1')).rows.map(({ id }) => id as number);
  const reaches = (database: TestDatabase, id: number): Promise<unknown> =>
    waitFor(async () => (await idsOn(database)).includes(id), { ...SOON, what: `${id} being applied` });
  const replica = startReplicaProcess(config, 'start');
  await waitFor(() => replica.lines.length > 0, { ...SOON, what: 'the replica' });
  await source('insert into c values (1)');
  await source('insert into c values (2)');
  await source('insert into c values (3)');
  await reaches(behind, 1);
  const letGo = await holdOpen(behind, 'select from hypervault.import_position for update');
  await reaches(ahead, 3);
  await replica.kill();
  await letGo();
  expect(await idsOn(behind)).toEqual([1]);
  await source('insert into c values (4)');
  await engine.syncTables('shop', [`${schema}.other`]);
  const stop = new AbortController();
  const run = engine.startReplica('shop', { signal: stop.signal });
  onTestFinished(async () => {
    stop.abort();
    await run;
  });
  await reaches(behind, 4);
  await reaches(ahead, 4);
  expect(await idsOn(behind)).toEqual([1, 2, 3, 4]);
  expect(await idsOn(ahead)).toEqual([1, 2, 3, 4]);
  expect((await ahead.query('select table_name, message from hypervault.import_error')).rows).toEqual([]);
});
