import { expect, it } from 'vitest';
import { ReplicaEngine } from '../../src/import/index.ts';
import { waitFor } from '../support/wait-for.ts';
import { expectSame, logicalServerOfFile, type PostgresFixture, postgresFixture } from './postgres-fixture.ts';

const server = logicalServerOfFile();

/** Each table gets a change of its own; the rows (1, 10), (2, 20) and what is inserted behind it tell what became of it. */
const FOLLOWED: Readonly<Record<string, string>> = {
  added_default: `alter table added_default add column c text not null default 'c'`,
  added_null: `alter table added_null add column c int; insert into added_null values (5, 5, 5)`,
  renamed_column: `alter table renamed_column rename column n to m`,
  names_went_round: `alter table names_went_round rename n to tmp; alter table names_went_round rename o to n; alter table names_went_round rename tmp to o`,
  renamed_table: `alter table renamed_table rename to renamed_table_2; insert into renamed_table_2 values (4, 40)`,
  widened: `alter table widened alter column v type text; insert into widened values (6, 6, repeat('long', 50))`,
  dropped_column: `alter table dropped_column drop column o`,
  dropped_and_other: `alter table dropped_and_other drop column o; alter table dropped_and_other add column o text`,
  emptied: `insert into emptied values (7, 7); truncate emptied; insert into emptied values (8, 8)`,
  emptied_together: `begin; truncate emptied_together, emptied_too; insert into emptied_together values (9, 9); commit`,
  defaults: `alter table defaults alter n set statistics 50; insert into defaults values (4, 4)`,
};

/** What cannot be followed, and the reason. */
const STOPPED: Readonly<Record<string, readonly [string, RegExp]>> = {
  rewritten: [
    `alter table rewritten alter column n type bigint using n * 2`,
    /became bigint, and its rows were written anew/,
  ],
  doubled: [
    `alter table doubled alter column n type int using n * 2`,
    /rows were written anew when the column n was changed/,
  ],
  made_anew: [
    `begin; alter table made_anew drop column o; alter table made_anew add column o int; commit`,
    /its column o was dropped and made anew/,
  ],
  clock: [
    `alter table clock add column at timestamptz default clock_timestamp()`,
    /the column at was added with values that no log tells/,
  ],
  recreated: [
    `drop table recreated; create table recreated (id int primary key, n int)`,
    /it was dropped in the source/,
  ],
  moved: [`alter table moved set schema aside`, /it moved to the schema aside/],
  blind: [`alter table blind replica identity nothing`, /the log no longer tells id/],
  other_key: [
    `alter table other_key drop constraint other_key_pkey; alter table other_key alter n set not null; alter table other_key add primary key (n)`,
    /the log no longer tells id/,
  ],
  labelled: [
    `alter type label add value 'new';; insert into labelled values (8, 8, 'new')`,
    /invalid input value for enum label: "new"|label.*new/,
  ],
  computed: [
    `alter table computed drop column twice; alter table computed add column twice int generated always as (n * 3) stored`,
    /its (generated )?column twice/,
  ],
  detached: [`alter table detached detach partition detached_1`, /a partition of it was detached or dropped/],
  attached: [
    `create table attached_2 (id int primary key, n int); insert into attached_2 values (150, 1); alter table attached attach partition attached_2 for values from (100) to (200)`,
    /attached_2 was attached to it with the rows it had/,
  ],
};

const names = [...Object.keys(FOLLOWED), ...Object.keys(STOPPED), 'emptied_too'];
const withMore = ['names_went_round', 'dropped_column', 'dropped_and_other', 'made_anew'];
const partitioned = ['detached', 'attached'];
const SETUP = `
create schema aside; create type label as enum ('old');
${names
  .map((name) => {
    const more = withMore.includes(name) ? ', o int' : '';
    const extra =
      { widened: ', v varchar(10)', labelled: ', l label', computed: ', twice int generated always as (n * 2) stored' }[
        name
      ] ?? '';
    const parts = partitioned.includes(name) ? ' partition by range (id)' : '';
    const made = `create table ${name} (id int primary key, n int${more}${extra})${parts};`;
    const partition =
      parts === ''
        ? ''
        : `create table ${name}_1 partition of ${name} for values from (0) to (3); create table ${name}_rest partition of ${name} for values from (3) to (100);`;
    return `${made} ${partition} insert into ${name} (id, n) values (1, 10), (2, 20);${more === '' ? '' : `update ${name} set o = 7;`}`;
  })
  .join('\n')}`;

async function reasons(f: PostgresFixture): Promise<Map<string, string>> {
  const rows = await f.rows<{ t: string; message: string }>(
    `select table_name as t, message from hypervault.import_error order by table_name`,
  );
  return new Map(rows.map(({ t, message }) => [t, message]));
}

it('follows changes of structure, or sets the table aside before a wrong row is written', {
  timeout: 60_000,
}, async () => {
  const f = await postgresFixture(server(), { extra: SETUP });
  await f.init();
  await f.start();
  for (const [table, ddl] of Object.entries(FOLLOWED))
    for (const statement of ddl.split('; '))
      await f.source(statement).catch((error: unknown) => {
        throw new Error(`${table}: ${statement}: ${error}`);
      });
  for (const [ddl] of Object.values(STOPPED)) for (const part of ddl.split(';; ')) await f.source(part);
  // A row behind each change shows it to the stream
  for (const name of names) {
    const place = { renamed_table: 'renamed_table_2', moved: 'aside.moved' }[name] ?? name;
    if (name === 'blind') await f.source(`insert into blind values (3, 30)`);
    else
      await f
        .source(`insert into ${place} (id) values (3)`)
        .catch(async () => f.source(`insert into ${place} (id, n) values (3, 30)`));
  }
  await f.caughtUp();
  // Rows that are only put in order are no others
  await f.source('vacuum full added_default');
  await f.source(`insert into added_default values (4, 40, 'd')`);
  await f.caughtUp();
  const wanted = Object.keys(STOPPED)
    .map((name) => `public.${name}`)
    .sort();
  await waitFor(async () => (await reasons(f)).size >= wanted.length, {
    timeoutMs: 15_000,
    what: 'tables set aside',
  }).catch(() => {});
  const found = await reasons(f);
  expect([...found.keys()]).toEqual(wanted);
  for (const [name, [, reason]] of Object.entries(STOPPED)) expect(found.get(`public.${name}`)).toMatch(reason);
  for (const name of Object.keys(FOLLOWED)) await expectSame(f, name === 'renamed_table' ? 'renamed_table_2' : name);
  await expectSame(f, 'emptied_too');
  // Of those set aside no row was written behind the change
  for (const name of Object.keys(STOPPED).filter((one) => one !== 'labelled'))
    expect(await f.rows(`select id, n from public.${name} order by 1`)).toEqual([
      { id: 1, n: 10 },
      { id: 2, n: 20 },
    ]);
  // And the way back
  await f.source(`drop table aside.moved; alter table blind replica identity default`);
  const { tables } = await f.engine.syncTables('shop', [...wanted.filter((name) => name !== 'public.moved')]);
  expect(tables.filter(({ failure }) => failure !== null)).toEqual([]);
  for (const name of ['rewritten', 'doubled', 'made_anew', 'labelled', 'computed', 'detached', 'attached'])
    await expectSame(f, name);
});

it('notices what happens to tables whose rows nobody changes, and tells of new ones', { timeout: 60_000 }, async () => {
  const f = await postgresFixture(server(), {
    extra: `create table parts (id int primary key) partition by range (id); create table parts_1 partition of parts for values from (0) to (100);
      create table parts_2 partition of parts for values from (100) to (200); insert into parts values (1), (101);
      create table gone (id int primary key); create table stays (id int primary key)`,
    source: { skip_tables: ['public.unwanted'] },
  });
  await f.init();
  const stop = await f.start();
  // A partition that was made since is known when it goes while nobody looks
  await f.source(
    `create table parts_3 partition of parts for values from (200) to (300); insert into parts values (201)`,
  );
  await f.caughtUp();
  await expectSame(f, 'parts');
  await stop();
  await f.source(
    'drop table parts_3; drop table gone; create table fresh (id int primary key); create table unwanted (id int)',
  );
  const heard: string[] = [];
  const engine = new ReplicaEngine({ config: f.config, onNotice: ({ message }) => void heard.push(message) });
  const stopping = new AbortController();
  const replica = engine.startReplica('shop', { signal: stopping.signal });
  await waitFor(async () => (await reasons(f)).size === 2, { timeoutMs: 15_000, what: 'tables set aside' });
  await waitFor(() => heard.some((line) => line.includes('not followed')), { what: 'the notice' });
  stopping.abort();
  await replica;
  await engine.close();
  expect(heard).toContainEqual(
    expect.stringMatching(/tables that are not followed: public\.fresh; .*sync-tables --tables public\.fresh/),
  );
  expect(Object.fromEntries(await reasons(f))).toEqual({
    'public.gone': 'it was dropped in the source',
    'public.parts': 'a partition of it was detached or dropped, and which rows went with it no log tells',
  });
  await f.engine.syncTables('shop', ['public.parts', 'public.fresh']);
  await f.start();
  await f.source('insert into fresh values (1); insert into stays values (1); insert into parts values (2)');
  await f.caughtUp();
  for (const name of ['parts', 'fresh', 'stays']) await expectSame(f, name);
});
