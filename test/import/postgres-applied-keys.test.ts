// How rows to delete are found in the target, by every kind of key: as arrays, through a temporary table, as whole rows.
import { it } from 'vitest';
import { expectSame, logicalServerOfFile, postgresFixture } from './postgres-fixture.ts';

const server = logicalServerOfFile();

const KEYS = {
  one_big: { columns: 'id bigint primary key', key: (n: string) => n },
  two_numbers: { columns: 'a int, b smallint, primary key (b, a)', key: (n: string) => `${n} % 7, ${n}` },
  number_and_uuid: {
    columns: 'u uuid, n int, primary key (n, u)',
    key: (n: string) => `md5((${n})::text)::uuid, -(${n})`,
  },
  text_beside: {
    columns: `t text collate "C", n int, primary key (n, t)`,
    key: (n: string) => `E'a\\tb,{"' || ${n}, ${n} % 3`,
  },
  padded: { columns: 'c char(9) primary key', key: (n: string) => `'c' || ${n}` },
  nullable: { columns: 'n int, m int', key: (n: string) => `nullif(${n} % 4, 0), ${n}` },
} as const;

it('finds the rows that went away by every kind of key', async () => {
  const names = Object.keys(KEYS) as (keyof typeof KEYS)[];
  const insert = (name: keyof typeof KEYS, from: number, to: number): string =>
    `insert into ${name} select ${KEYS[name].key('n')}, n from generate_series(${from}, ${to}) n;`;
  const f = await postgresFixture(server(), {
    extra: names
      .map(
        (name) => `create table ${name} (${KEYS[name].columns}, v int);
        ${name === 'nullable' ? 'alter table nullable replica identity full;' : ''} ${insert(name, 1, 40)}`,
      )
      .join('\n'),
  });
  await f.init();
  await f.start();
  await f.source(
    names
      .map((name) => {
        const last = KEYS[name].columns.split(/[ ,]/)[0]!;
        return `${insert(name, 41, 60)}
          delete from ${name} where v % 3 = 0;
          update ${name} set v = v + 1000 where v % 3 = 1;
          update ${name} set ${last} = ${last} where v = 2;
          begin; delete from ${name} where v = 5; insert into ${name} select ${KEYS[name].key('5')}, -5; commit;
          ${insert(name, 61, 70)}`;
      })
      .join('\n'),
  );
  await f.source(`update one_big set id = id + 100 where id < 30; update two_numbers set a = a + 100 where a % 2 = 0;
    update text_beside set t = t || 'x' where v % 2 = 0`);
  await f.caughtUp();
  for (const name of names) await expectSame(f, name);
});
