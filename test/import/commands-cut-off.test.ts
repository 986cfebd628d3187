// Commands that meet others in the midst of their work, or are cut off there.
import { expect, it, onTestFinished } from 'vitest';
import { ReplicaEngine } from '../../src/import/index.ts';
import { waitFor } from '../support/wait-for.ts';
import { importFixture, mariadbOfFile } from './fixture.ts';
import { holdOpen } from './held-session.ts';

const mariadb = mariadbOfFile();
const SOON = { timeoutMs: 20_000, everyMs: 20 };

it('stops a replica that was started while another command noted that the one before was killed', async () => {
  const f = await importFixture(mariadb());
  await f.source('create table t (id int primary key)');
  await f.init();
  // As a killed one leaves it
  await f.rows(`update hypervault.import_source set status = 'running'`);
  await f.rows(`create sequence public.updates; create function public.first_slowly() returns trigger language plpgsql as $$
    begin if nextval('public.updates') = 1 then perform pg_sleep(1.5); end if; return null; end $$;
    create trigger first_slowly before update on hypervault.import_source execute function public.first_slowly()`);
  const noting = f.another().stopReplica('shop');
  await waitFor(
    async () => (await f.rows(`select from pg_stat_activity where wait_event = 'PgSleep'`)).length > 0,
    SOON,
  );
  await f.start();
  expect(await noting).toEqual({ stopped: false });
  expect(await f.rows('select status from hypervault.import_source')).toEqual([{ status: 'running' }]);
  expect(await f.another().stopReplica('shop')).toEqual({ stopped: true });
});

it('goes on with a change of mappings that was cut off between the tables and the catalogue', async () => {
  const f = await importFixture(mariadb());
  await f.source('create table t (id int primary key); insert into t values (1)');
  await f.init();
  const shop = { ...f.config.sources.shop, schema_mappings: { [f.schema]: 'renamed' } };
  const engine = new ReplicaEngine({ config: { ...f.config, sources: { shop } } });
  onTestFinished(() => engine.close());
  const letGo = await holdOpen(f.target, 'lock table hypervault.import_table in exclusive mode');
  const cutOff = expect(engine.updateSchemaMappings('shop')).rejects.toThrow();
  const waiting = `from pg_stat_activity where query ~ 'update hypervault.import_table' and wait_event_type = 'Lock'`;
  await waitFor(async () => (await f.rows(`select ${waiting}`)).length > 0, SOON);
  await f.rows(`select pg_terminate_backend(pid) ${waiting}`);
  await cutOff;
  await letGo();
  expect((await engine.updateSchemaMappings('shop')).renamed).toEqual([{ from: f.schema, to: 'renamed' }]);
  await f.source('insert into t values (2)');
  const stop = new AbortController();
  const run = engine.startReplica('shop', { signal: stop.signal });
  onTestFinished(() => {
    stop.abort();
    return run;
  });
  await f.caughtUp();
  expect(await f.rows('select id from renamed.t order by 1')).toEqual([{ id: 1 }, { id: 2 }]);
});
