// A table of nine columns with three indexes, and single-row changes of it.
import type { Client } from 'pg';

export const CREATE_BIG = `create table public.big (
  id bigint primary key,
  quantity int,
  name varchar(80),
  price numeric(12,2),
  state text,
  at timestamp(6),
  detail jsonb,
  token bytea,
  note text
)`;

export const INDEX_BIG = ['create index big_name on public.big (name)', 'create index big_at on public.big (at)'];

const ROW = `n, n % 1000, 'name of number ' || n, n / 7.0, (array['new', 'sold', 'gone'])[n % 3 + 1],
  '2024-01-01'::timestamp + n * interval '1 second', jsonb_build_object('n', n, 'emoji', '😀', 'list', array[1, 2, n]),
  decode(md5(n::text), 'hex'), repeat('note ' || n || ' ', 6)`;

export async function fillBig(client: Client, rows: number): Promise<void> {
  await client.query(`insert into public.big select ${ROW} from generate_series(1, ${rows}) n`);
  await client.query('analyze public.big');
}

/** Half inserts, three in ten updates, the rest deletes, one row each, 100 of them per transaction. */
export async function changeBig(client: Client, { rows, changes }: { rows: number; changes: number }): Promise<void> {
  await client.query(`
    create or replace procedure public.change_big(_first bigint, _rows bigint, _changes int) language plpgsql as $$
    declare _k bigint;
    begin
      for _i in 0.._changes - 1 loop
        _k := _i;
        case
          when _k % 10 < 5 then
            insert into public.big select ${ROW} from (select _first + _k as n) s;
          when _k % 10 < 8 then
            update public.big set price = price + 1, note = note || '!' where id = (_k * 7919) % _rows + 1;
          else
            delete from public.big where id = (_k * 104729) % _rows + 1;
        end case;
        if _k % 100 = 99 then commit; end if;
      end loop;
    end $$`);
  const { rows: found } = await client.query<{ first: string }>(
    'select coalesce(max(id), 0) + 1 as first from public.big',
  );
  await client.query(`call public.change_big(${found[0]!.first}, ${rows}, ${changes})`);
}
