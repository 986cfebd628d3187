// Changes of structure after which nobody writes a row: no log tells of them.
import { expect, it, onTestFinished } from 'vitest';
import { ReplicaEngine } from '../../src/import/index.ts';
import { waitFor } from '../support/wait-for.ts';
import { expectSame, logicalServerOfFile, postgresFixture } from './postgres-fixture.ts';

const server = logicalServerOfFile();

it('tells of changes that nobody has written a row since, in time for the switch', { timeout: 60_000 }, async () => {
  const f = await postgresFixture(server(), {
    extra: ['ids', 'added', 'renamed', 'dropped', 'widened', 'spoken', 'same']
      .map((name) => `create table ${name} (id int primary key, n varchar(9)); insert into ${name} values (1, 'a');`)
      .join(' '),
  });
  await f.init();
  const heard: string[] = [];
  const engine = new ReplicaEngine({ config: f.config, onNotice: ({ message }) => void heard.push(message) });
  const stopping = new AbortController();
  const replica = engine.startReplica('shop', { signal: stopping.signal });
  onTestFinished(async () => {
    stopping.abort();
    await replica;
    await engine.close();
  });
  await f.caughtUp();
  await f.source(`alter table ids alter column id type bigint; alter table added add column c text;
    alter table renamed rename column n to m; alter table dropped drop column n; alter table widened alter column n type text;
    alter table spoken add column c text; insert into spoken values (2, 'b', 'c')`);
  const { tables, equal } = await f.engine.verify('shop');
  expect(equal).toBe(false);
  const said = Object.fromEntries(tables.map(({ table, state, reason }) => [table.slice(7), `${state}: ${reason}`]));
  const quiet = (change: string, table: string): unknown =>
    expect.stringMatching(
      `^different: ${change} in the source, and no row was written since.*: hypervault import sync-tables --tables public.${table}$`,
    );
  expect(said).toEqual({
    ids: expect.stringMatching(/^aside: the column id became bigint, and its rows were written anew/),
    added: quiet('its column c was added', 'added'),
    renamed: quiet('its column n is m now', 'renamed'),
    dropped: quiet('its column n was dropped', 'dropped'),
    widened: quiet('its column n became text', 'widened'),
    spoken: 'equal: null',
    same: 'equal: null',
  });
  await expect(f.engine.switchOver('shop')).rejects.toThrow(/public.added: its column c was added/);
  expect((await f.engine.showStatus())[0]).toMatchObject({ status: 'running', direction: 'forward' });

  // The replica notices by itself
  await waitFor(
    async () =>
      heard.filter((line) => /no row was written/.test(line)).length === 4 &&
      heard.some((line) => /became bigint/.test(line)),
    { timeoutMs: 25_000, what: 'the notices' },
  );
  expect(
    await f.rows(`select origin_table as t, state from hypervault.import_table where state <> 'followed'`),
  ).toEqual([{ t: 'ids', state: 'aside' }]);
  // A row tells
  await f.source(`insert into added values (2, 'b', 'c'); insert into dropped values (2)`);
  await f.caughtUp();
  for (const table of ['added', 'dropped']) await expectSame(f, table);
  stopping.abort();
  await replica;
  await f.engine.syncTables('shop', ['public.ids', 'public.renamed', 'public.widened']);
  expect(await f.engine.verify('shop')).toMatchObject({ equal: true });
});
