// Random changes on a table of the source, in transactions of random size.
import type { ImportFixture } from './fixture.ts';
import { type Load, type LoadOptions, runTransaction, startRandomLoad, withMysqlSession } from './random-load.ts';

export const CREATE_ITEMS = `create table items (
  id bigint auto_increment primary key,
  code varchar(20) not null unique,
  price decimal(10,2),
  note text,
  state enum('new','sold','gone') not null default 'new',
  changed timestamp(3) not null default current_timestamp(3)
)`;
export const ITEM_COLUMNS = ['id', 'code', 'price', 'note', 'state'] as const;

/** Runs until stopped; every transaction also moves an amount between two counters, so that half of one would show. */
export function startLoad(
  { server, schema }: Pick<ImportFixture, 'server' | 'schema'>,
  options: LoadOptions = {},
): Load {
  return startRandomLoad(options, (turns) =>
    withMysqlSession(server, schema, async (client) => {
      const { random } = turns;
      let last = Number(
        ((await client.query('select coalesce(max(id), 0) as m from items'))[0] as { m: number }[])[0]!.m,
      );
      while (turns.going) {
        const statements: string[] = [];
        for (let n = random(8) + 1; n > 0; n--) {
          const kind = random(10);
          const id = random(last) + 1;
          if (kind < 5) {
            last += 1;
            statements.push(
              `insert into items (id, code, price, note) values (${last}, 'c${last}', ${random(10_000)}/100, 'tab\\there 😀 ${last}')`,
            );
          } else if (kind < 8) statements.push(`update items set price = price + 1, state = 'sold' where id = ${id}`);
          else if (kind === 8)
            statements.push(`update items set code = concat('x', id, '_', ${random(1_000_000)}) where id = ${id}`);
          else statements.push(`delete from items where id = ${id}`);
        }
        const amount = random(100);
        statements.push(
          `update counters set n = n - ${amount} where id = 1`,
          `update counters set n = n + ${amount} where id = 2`,
        );
        await runTransaction(client, statements);
        await turns.done();
      }
    }),
  );
}

export const CREATE_COUNTERS = 'create table counters (id int primary key, n bigint not null)';
