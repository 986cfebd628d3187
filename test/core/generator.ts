// A shard with the id generator, and ways to make its functions misbehave: sleep at a place, or see another clock.
import { install } from '../../src/core/index.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';

/** The shard every generator test draws from. */
export const SHARD = 5;
export const NEXT_ID = 'shard0005.next_id()';
export const SEQUENCE = "'shard0005.table_id_seq'";

export async function generatorDatabase(): Promise<TestDatabase> {
  const db = await freshDatabase();
  await install([{ ...db.connection, shards: '5-6' }]);
  return db;
}

/** Rewrites a piece of an installed function; fails when the piece is not there, so that a test can't miss its aim. */
export async function patchFunction(db: TestDatabase, signature: string, from: string, to: string): Promise<void> {
  const { rows } = await db.query('select pg_get_functiondef($1::regprocedure) as source', [signature]);
  const source: string = rows[0].source;
  if (!source.includes(from)) throw new Error(`${signature} does not hold ${from}`);
  await db.query(source.replaceAll(from, to));
}

/** Sleeps before the sequence is set, in the middle of what must not be interrupted. */
export function stallBeforeStore(db: TestDatabase, sleep: string): Promise<void> {
  const store = '_position := pg_catalog.setval';
  return patchFunction(db, 'hypervault.next_id_behind(regclass,integer)', store, `${sleep}\n${store}`);
}

/** Puts a clock in the place of the server's: what `expression` says, in ms since the epoch. */
export async function fakeClock(db: TestDatabase, expression: string): Promise<void> {
  await db.query(
    `create or replace function hypervault.clock_ms() returns bigint language plpgsql as
     $$ begin return ${expression}; end $$`,
  );
}

/** The true clock, but a share of the readings comes 20 to 30 ms late. */
export async function stallingClock(db: TestDatabase, share: number): Promise<void> {
  await db.query(
    `create or replace function hypervault.clock_ms() returns bigint language plpgsql as
     $$ begin
       if random() < ${share} then
         perform pg_sleep(0.02 + random() * 0.01);
       end if;
       return ${TRUE_CLOCK};
     end $$`,
  );
}

/** The true clock, for {@link fakeClock}. */
export const TRUE_CLOCK = "(floor(date_part('epoch', clock_timestamp()) * 1000)::bigint - hypervault.epoch_ms())";

/** How many ids appear more than once. */
export function duplicates(ids: readonly bigint[]): number {
  return ids.length - new Set(ids).size;
}
