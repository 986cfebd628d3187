// Random changes on a Postgres source, in transactions of random size.
import pg from 'pg';
import { type Load, type LoadOptions, startRandomLoad } from './random-load.ts';

export const CREATE_LOADED = `
create table items (id bigint primary key, code text not null unique, price numeric(10,2), note text, big text, state text default 'new');
alter table items alter big set storage external;
create table counters (id int primary key, n bigint not null);
insert into counters values (1, 1000000), (2, 0);`;

/** Runs until stopped; every transaction also moves an amount between two counters, so that half of one would show. */
export function startPostgresLoad(
  connection: pg.ClientConfig,
  { schema = 'public', ...options }: LoadOptions & { readonly schema?: string } = {},
): Load {
  const open = async (): Promise<pg.Client> => {
    const client = new pg.Client({ ...connection, options: `-c search_path=${schema}` });
    client.on('error', () => {});
    await client.connect();
    return client;
  };
  return startRandomLoad(options, async (turns) => {
    const { random } = turns;
    let client: pg.Client | undefined;
    let last = 0;
    while (turns.going) {
      try {
        if (client === undefined) {
          client = await open();
          last = Number((await client.query('select coalesce(max(id), 0) as m from items')).rows[0].m);
        }
        const statements: string[] = [];
        for (let n = random(8) + 1; n > 0; n--) {
          const kind = random(11);
          const id = random(last) + 1;
          if (kind < 5) {
            last += 1;
            statements.push(
              `insert into items values (${last}, 'c${last}', ${random(10_000)} / 100.0, E'tab\\there 😀 ${last}', repeat('${last} ', 800)) on conflict do nothing`,
            );
          } else if (kind < 8) statements.push(`update items set price = price + 1, state = 'sold' where id = ${id}`);
          else if (kind === 8)
            statements.push(`update items set code = 'x${id}_${random(1_000_000)}' where id = ${id}`);
          else if (kind === 9) statements.push(`update items set big = repeat('new ${id}', 500) where id = ${id}`);
          else statements.push(`delete from items where id = ${id}`);
        }
        const amount = random(100);
        statements.push(
          `update counters set n = n - ${amount} where id = 1`,
          `update counters set n = n + ${amount} where id = 2`,
        );
        await client.query(`begin; ${statements.join('; ')}; commit`);
        await turns.done();
      } catch {
        // The server is away, or was: begin again
        await client?.end().catch(() => {});
        client = undefined;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
    await client?.end();
  });
}
