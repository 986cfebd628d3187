import { describe, expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { expectSameDatabase } from './compare-tables.ts';
import { importFixture, mariadbOfFile, mysqlOfFile } from './fixture.ts';
import { startReplicaProcess } from './replica-process.ts';
import { loadSakila, sakilaStatements, startSakilaLoad } from './sakila.ts';

const statements = await sakilaStatements();

const VIEW = `create view %.customer_list as
  select c.customer_id, c.first_name || ' ' || c.last_name as name, a.address, ci.city
    from %.customer c
    join %.address a using (address_id)
    join %.city ci using (city_id)`;

describe.skipIf(statements === undefined).each([
  ['MariaDB', mariadbOfFile, 2],
  ['MySQL', mysqlOfFile, 1],
] as const)('%s', (_, serverOfFile, kills) => {
  const server = serverOfFile();

  it('is taken over with Sakila: copied, followed under load with kills, detached', { timeout: 180_000 }, async () => {
    const f = await importFixture(server());
    await loadSakila(f.server, f.schema, statements!);
    await f.source(`alter table film comment 'what we lend';
    alter table film modify length smallint unsigned comment 'minutes', add constraint long_enough check (length is null or length >= 0)`);
    await f.init();
    const copied = await expectSameDatabase(f);
    expect(copied).toMatchObject({ actor: 200, film: 1000, rental: 16_044, payment: 16_049, film_text: 1000 });
    expect(Object.keys(copied)).toHaveLength(16);
    // A view of the user's own has to outlive what happens to its tables
    await f.rows(VIEW.replaceAll('%', f.schema));

    const load = startSakilaLoad(f.server, f.schema, { seed: 3, pauseMs: 5 });
    for (let kill = 0; kill < kills; kill++) {
      const replica = startReplicaProcess(f.config, 'start');
      await waitFor(() => replica.lines.length > 2, { timeoutMs: 30_000, what: 'the replica applying' });
      if (kill === 0) await f.source('alter table customer add column vip tinyint(1) not null default 0 after email');
      await new Promise((resolve) => setTimeout(resolve, 200));
      await replica.kill();
    }
    await load.stop();
    const stop = await f.start();
    await f.caughtUp();
    expect(await f.rows('select table_name, message from hypervault.import_error')).toEqual([]);
    await expectSameDatabase(f);
    await stop();

    const theirs = await f.source(
      `select concat(table_name, '.', column_name) as name, is_nullable as nullable,
            column_default is not null and column_default <> 'NULL' or extra like '%auto_increment%' as has_default
       from information_schema.columns c
       join information_schema.tables t using (table_schema, table_name)
      where table_schema = ? and table_type = 'BASE TABLE' order by 1`,
      [f.schema],
    );
    const { foreignKeys } = await f.engine.detachReplica('shop');
    expect(foreignKeys.filter(({ made }) => !made)).toEqual([]);
    expect(foreignKeys).toHaveLength(22);
    const ours = await f.rows<{ name: string; nullable: string; has_default: boolean }>(
      `select table_name || '.' || column_name as name, is_nullable as nullable,
            column_default is not null or is_identity = 'YES' as has_default
       from information_schema.columns
      where table_schema = $1 and table_name <> 'customer_list'`,
      [f.schema],
    );
    const sorted = (rows: readonly { name: string }[]): unknown[] =>
      [...rows].sort((a, b) => (a.name < b.name ? -1 : 1));
    expect(sorted(ours)).toEqual(
      sorted(theirs.map((row) => ({ ...(row as { name: string }), has_default: Number(row.has_default) === 1 }))),
    );
    expect(
      await f.rows(
        `select obj_description('${f.schema}.film'::regclass) as of_table,
              col_description('${f.schema}.film'::regclass, ordinal_position) as of_column
         from information_schema.columns
        where table_schema = '${f.schema}' and table_name = 'film' and column_name = 'length'`,
      ),
    ).toEqual([{ of_table: 'what we lend', of_column: 'minutes' }]);
    // The database stands on its own: numbers go on, defaults and checks are there, foreign keys act
    const [film] = await f.rows<Record<string, unknown>>(
      `insert into ${f.schema}.film (title, language_id) values ('NEW', 1)
     returning film_id > 1000 as later, rental_duration, rental_rate, rating, last_update > now() - interval '1 day' as now`,
    );
    expect(film).toEqual({ later: true, rental_duration: 3, rental_rate: '4.99', rating: 'G', now: true });
    await expect(f.rows(`update ${f.schema}.film set length = -1`)).rejects.toThrow(/long_enough/);
    await expect(f.rows(`delete from ${f.schema}.language`)).rejects.toThrow(/foreign key/);
    expect(await f.rows(`select count(*)::int as n from ${f.schema}.customer_list`)).toEqual([{ n: 599 }]);
  });
});
