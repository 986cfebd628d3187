// What is said when the catalogue is not what this program needs: never a bare error of Postgres.
import { expect, it } from 'vitest';
import { SchemaError } from '../../src/errors.ts';
import { ReplicaEngine } from '../../src/import/index.ts';
import { freshDatabase } from '../support/database.ts';
import { waitFor } from '../support/wait-for.ts';
import { importFixture, mariadbOfFile } from './fixture.ts';

const mariadb = mariadbOfFile();

it('names the remedy for a catalogue that is missing, old, new or broken', async () => {
  const target = await freshDatabase();
  const shop = { type: 'pgsql', db_conn: target.connection, schema_mappings: { a: 'b' } };
  await using engine = new ReplicaEngine({ config: { pg_conn: target.connection, sources: { shop } } });
  const refusal = async (): Promise<unknown> => engine.showStatus().catch((error: unknown) => error);
  const told = (pattern: RegExp): unknown => expect.objectContaining({ message: expect.stringMatching(pattern) });

  expect(await refusal()).toBeInstanceOf(SchemaError);
  expect(await refusal()).toEqual(told(/not installed on pg_conn; run create-replica-schema/));

  await engine.createReplicaSchema();
  await target.query(`alter table hypervault.import_source drop column direction, drop column copy_from,
      drop column held_shards;
    alter table hypervault.import_log drop column prepared;
    delete from hypervault.ledger where module = 'import' and scope = 'control' and name ~ '^00[2-5]-'`);
  expect(await refusal()).toBeInstanceOf(SchemaError);
  expect(await refusal()).toEqual(
    told(/made by an earlier version: it lacks sql\/import\/control\/002-direction.sql; run upgrade-replica-schema/),
  );
  const { applied } = await engine.upgradeReplicaSchema();
  expect(applied).toHaveLength(4);
  expect(await engine.showStatus()).toEqual([]);

  await target.query('drop function hypervault.import_add_source(text, text, jsonb, jsonb)');
  const adding = engine.addSource('shop');
  await expect(adding).rejects.toThrow(SchemaError);
  await expect(adding).rejects.toThrow(/lacks the function hypervault.import_add_source.*run upgrade-replica-schema/);
  expect((await engine.upgradeReplicaSchema()).applied).toEqual([
    'pg_conn: sql/import/control/functions/import_add_source.sql',
  ]);
  await engine.addSource('shop');

  await target.query('drop table hypervault.import_error');
  const listing = engine.showErrors();
  await expect(listing).rejects.toThrow(SchemaError);
  await expect(listing).rejects.toThrow(/has lost hypervault.import_error.*drop-replica-schema, create-replica-schema/);
  await expect(engine.createReplicaSchema()).rejects.toThrow(/has lost hypervault.import_error/);
  await engine.dropReplicaSchema();
  await engine.createReplicaSchema();
  expect(await engine.showErrors()).toEqual([]);

  await target.query(`insert into hypervault.ledger (module, scope, kind, name, hash, release)
    select module, scope, kind, '099-later.sql', hash, release from hypervault.ledger where name = '002-direction.sql';
    alter table hypervault.import_source rename column status to state`);
  expect(await refusal()).toEqual(told(/made by a later version of pg-hypervault \(it has 099-later.sql\)/));
});

it('ends a replica whose places are gone, and sets no table aside for it', async () => {
  const f = await importFixture(mariadb());
  await f.source('create table t (id int primary key)');
  await f.init();
  const run = f.engine.startReplica('shop');
  run.catch(() => {});
  await f.target.query('drop table hypervault.import_position');
  await f.source('insert into t values (1)');
  await expect(run).rejects.toThrow(/has lost hypervault.import_position/);
  await expect(f.engine.showStatus()).rejects.toThrow(/has lost hypervault.import_position/);
  expect(await f.rows('select state, reason from hypervault.import_table')).toEqual([
    { state: 'followed', reason: null },
  ]);
  await waitFor(async () => (await f.rows('select status from hypervault.import_source'))[0]!.status === 'error');
});
