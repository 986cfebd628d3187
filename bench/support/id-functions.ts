// The well-known id function, beside ours on the same server: a sequence modulo 1024 and a reading of the clock.
import type { BenchServers } from './servers.ts';

export const OURS = 'shard0001.next_id()';
export const WELL_KNOWN = 'known.next_id()';

export async function makeWellKnown(servers: BenchServers): Promise<void> {
  await servers.query(
    0,
    `create schema known;
     create sequence known.table_id_seq;
     create function known.next_id(out result bigint) language plpgsql as $$
     declare
       our_epoch bigint := 1379365531352;
       seq_id bigint;
       now_millis bigint;
       shard_id integer := 1;
     begin
       select nextval('known.table_id_seq') % 1024 into seq_id;
       select floor(extract(epoch from clock_timestamp()) * 1000) into now_millis;
       result := (now_millis - our_epoch) << 23;
       result := result | (shard_id << 10);
       result := result | seq_id;
     end $$`,
  );
}
