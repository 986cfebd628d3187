// Rows whose ids can be computed: one each ms from a day in 2015, so that pgbench can pick one by a random number.
import { DEFAULT_EPOCH, Key } from 'pg-hypervault';
import { type BenchServers, SHARDS, schemaOf } from './servers.ts';

const FIRST_MS = BigInt(Date.UTC(2015, 0, 1) - DEFAULT_EPOCH);

/** The id of the nth row of a shard. */
export const idOf = (shardId: number, nth: number): bigint =>
  ((FIRST_MS + BigInt(nth)) << 23n) | (BigInt(shardId) << 10n);

/** Ten fields of ordinary length. */
const FIELDS = `'name', 'Person number ' || n, 'email', 'person' || n || '@example.com', 'city', 'Reykjavík',
  'country', 'IS', 'phone', '+354 555 ' || n % 10000, 'street', 'Laugavegur ' || n % 200, 'note', null,
  'token', md5(n::text), 'score', (n * 7 % 1000)::text, 'active', 'true'`;

/** Fills `entities` of every shard. */
export async function fillEntities(servers: BenchServers, perShard: number): Promise<void> {
  await everyShard(servers, (shardId) => [
    `insert into ${schemaOf(shardId)}.entities (id, type, body)
     select ${idOf(shardId, 0)} + n * 8388608, 1, hstore(array[${FIELDS}]) from generate_series(0::bigint, ${perShard - 1}) n`,
    `vacuum analyze ${schemaOf(shardId)}.entities`,
  ]);
}

/** Makes and fills a table of the user's own, of ten columns. */
export async function fillPeople(servers: BenchServers, perShard: number): Promise<void> {
  await everyShard(servers, (shardId) => [
    `create table ${schemaOf(shardId)}.people (id bigint primary key default ${schemaOf(shardId)}.next_id(),
       name text, email text, city text, country text, phone text, street text, token text, score integer, active boolean)`,
    `insert into ${schemaOf(shardId)}.people
     select ${idOf(shardId, 0)} + n * 8388608, 'Person number ' || n, 'person' || n || '@example.com', 'Reykjavík', 'IS',
            '+354 555 ' || n % 10000, 'Laugavegur ' || n % 200, md5(n::text), n * 7 % 1000, true
       from generate_series(0::bigint, ${perShard - 1}) n`,
    `vacuum analyze ${schemaOf(shardId)}.people`,
  ]);
}

async function everyShard(servers: BenchServers, statements: (shardId: number) => string[]): Promise<void> {
  for (const shardId of SHARDS) {
    for (const text of statements(shardId)) await servers.query(servers.of(shardId), text);
  }
  await Promise.all(servers.connections.map((_, server) => servers.query(server, 'checkpoint')));
}

/** A row that is looked for, in the form each rival wants it. */
export interface Target {
  readonly key: Key;
  readonly id: string;
  readonly shardId: number;
}

/** Rows of these shards in random order, the same order in every run. */
export function targets(perShard: number, shards: readonly number[] = SHARDS, count = 50_000): Target[] {
  let seed = 42;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (seed >>> 8) % below;
  };
  return Array.from({ length: count }, () => {
    const shardId = shards[random(shards.length)]!;
    const id = idOf(shardId, random(perShard));
    return { key: new Key(id), id: id.toString(), shardId };
  });
}

/** Hands out the same list again and again. */
export function turning<T>(list: readonly T[]): () => T {
  let at = 0;
  return () => list[at++ % list.length]!;
}
