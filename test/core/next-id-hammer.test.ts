// The generator under sessions that stall at the worst places. Duplicates are counted by the server.
import type pg from 'pg';
import { expect, test } from 'vitest';
import type { TestDatabase } from '../support/database.ts';
import { generatorDatabase, NEXT_ID, patchFunction, SEQUENCE, stallBeforeStore, stallingClock } from './generator.ts';

const STALL = 'perform pg_catalog.pg_sleep(0.02 + random() * 0.01);';

async function sessions(db: TestDatabase, count: number): Promise<pg.Client[]> {
  return Promise.all(Array.from({ length: count }, () => db.client()));
}

/** All of them draw at once into one table without a key, one after the other by `next_id` and `next_ids`. */
async function hammer(db: TestDatabase, count: number, turns: number, rows: number): Promise<{ ids: number }> {
  await db.query('create unlogged table drawn (id bigint)');
  const clients = await sessions(db, count);
  await Promise.all(
    clients.map(async (client, place) => {
      for (let turn = 0; turn < turns; turn++) {
        await client.query('select pg_sleep($1)', [Math.random() < 0.5 ? 0 : Math.random() * 0.03]);
        const source =
          (place + turn) % 2 === 0
            ? `select ${NEXT_ID} from generate_series(1, ${rows})`
            : `select * from shard0005.next_ids(${rows})`;
        await client.query(`insert into drawn ${source}`);
      }
    }),
  );
  const { rows: counted } = await db.query(
    'select count(*)::integer as ids, count(*)::integer - count(distinct id)::integer as duplicates from drawn',
  );
  expect(counted[0].duplicates).toBe(0);
  return { ids: counted[0].ids };
}

test('32 bulk writers draw no id twice', { timeout: 60_000 }, async () => {
  const db = await generatorDatabase();
  expect(await hammer(db, 32, 8, 2_000)).toEqual({ ids: 512_000 });
});

test('90 sessions draw no id twice while each may stall for 20 to 30 ms anywhere', { timeout: 120_000 }, async () => {
  const db = await generatorDatabase();
  // Between the sequence and the clock, between the look at the sequence and the store, and inside a chunk.
  await stallingClock(db, 0.005);
  await stallBeforeStore(db, `if random() < 0.2 then ${STALL} end if;`);
  await patchFunction(
    db,
    'hypervault.next_ids(regclass,integer,integer)',
    'return query',
    `if random() < 0.02 then ${STALL} end if;\nreturn query`,
  );
  expect(await hammer(db, 90, 4, 700)).toEqual({ ids: 252_000 });
});

/**
 * The one way to set a sequence back: a session looks, finds it just behind, and stalls before it stores, while others
 * that came a moment later were just not behind and draw faster than the clock counts. With one bound for looking and
 * accepting (K = 16 ms for both, and no lock for chunks) 5 of 150 rounds went back, on Postgres 15 as on 18.
 */
test('a stalled store never sets the sequence back', { timeout: 120_000 }, async () => {
  const db = await generatorDatabase();
  await db.query('create sequence public.stalls');
  await db.query('create sequence public.back');
  await stallBeforeStore(
    db,
    `if pg_catalog.nextval('public.stalls') = 1 then
       perform pg_catalog.pg_sleep(0.03);
     end if;
     if pg_catalog.pg_sequence_last_value(next_id_behind.sequence) >= _now << 10 then
       perform pg_catalog.nextval('public.back');
     end if;`,
  );
  await db.query(
    `create function public.race(start bigint, n integer) returns bigint language plpgsql as $$
     begin
       while hypervault.clock_ms() < race.start loop end loop;
       return count(*) from shard0005.next_ids(race.n);
     end $$`,
  );
  const [coordinator, ...racers] = await sessions(db, 4);
  const { rows: limits } = await db.query(`select current_setting('max_connections')::integer as sessions`);
  for (const beyond of [0, 2 * limits[0].sessions]) {
    for (let round = 0; round < 40; round++) {
      const { rows } = await coordinator!.query('select hypervault.clock_ms() + 8 as start');
      const start = BigInt(rows[0].start);
      await coordinator!.query(`select setval('public.stalls', 1, false), setval(${SEQUENCE}, $1)`, [
        ((start - 12n) << 10n) - BigInt(beyond + 2 + (round % 3)),
      ]);
      await Promise.all(
        racers.map((racer, place) => racer.query('select public.race($1, $2)', [start, place === 0 ? 1 : 30_000])),
      );
    }
  }
  const { rows } = await db.query(
    'select (select is_called from public.back) as back, last_value::integer as stalls from public.stalls',
  );
  expect(rows).toEqual([{ back: false, stalls: expect.any(Number) }]);
});
