import type { Client } from 'pg';
import { quoteIdentifier, quoteLiteral } from '../../internal/quote.ts';
import type { ChunkRange } from '../source/snapshot.ts';

/** How many rows there are, and the sum of their hashes: the same for the same rows in any order and any place. */
export interface Digest {
  readonly rows: bigint;
  readonly sum: bigint;
}

export const NOTHING: Digest = { rows: 0n, sum: 0n };

export function addDigests(a: Digest, b: Digest): Digest {
  return { rows: a.rows + b.rows, sum: a.sum + b.sum };
}

/** A row's key as a JSON array of texts → the hash of the row; of several rows with one key, all hashes. */
export type RowHashes = Map<string, string>;

/** What of a relation is looked at: the same columns, under the same names, on both sides. */
export interface RowShape {
  /** A column, its type (`null` when no text can be cast to it by name) and the SQL expression whose text is compared. */
  readonly columns: readonly { readonly name: string; readonly type: string | null; readonly expression: string }[];
  /** Names of the columns that tell rows apart; all of them when nothing else does. */
  readonly key: readonly string[];
}

/** How many parts a table is cut into whose key is no whole number. */
const BUCKETS = 4_096;

/**
 * Rows of one relation of a Postgres session, seen through hashes of their text. Sessions on both sides have the
 * settings under which a value has one text (`VALUE_SETTINGS`).
 */
export class RowSet {
  readonly #client: Client;
  readonly #relation: string;
  readonly #shape: RowShape;
  readonly #hash: string;
  readonly #key: string;

  /** @param relation - quoted, with `only` where children are not meant */
  constructor(client: Client, relation: string, shape: RowShape) {
    this.#client = client;
    this.#relation = relation;
    this.#shape = shape;
    this.#hash = `md5(row(${shape.columns.map(({ expression }) => expression).join(', ')})::text)`;
    const keys = shape.key.map((name) => `${quoteIdentifier(name)}::text`);
    this.#key = `json_build_array(${keys.join(', ')})::text`;
  }

  async digest(range: ChunkRange | null): Promise<Digest> {
    const { rows } = await this.#client.query<{ rows: string; sum: string }>(
      `select count(*)::text as rows, coalesce(sum(${sumOf(this.#hash)}), 0)::text as sum
         from ${this.#relation}${whereOf(range)}`,
    );
    return { rows: BigInt(rows[0]!.rows), sum: BigInt(rows[0]!.sum) };
  }

  /** Digests of parts by the key's hash, for tables that have no ranges. */
  async bucketDigests(): Promise<Map<number, Digest>> {
    const { rows } = await this.#client.query<{ bucket: number; rows: string; sum: string }>(
      `select ${this.#bucket()} as bucket, count(*)::text as rows, sum(${sumOf(this.#hash)})::text as sum
         from ${this.#relation}
        group by 1`,
    );
    return new Map(rows.map((row) => [row.bucket, { rows: BigInt(row.rows), sum: BigInt(row.sum) }]));
  }

  /** The rows of a range one by one. */
  hashes(range: ChunkRange | null): Promise<RowHashes> {
    return this.#hashes(whereOf(range));
  }

  hashesOfBuckets(buckets: readonly number[]): Promise<RowHashes> {
    return this.#hashes(` where ${this.#bucket()} = any(array[${buckets.join(', ')}]::int[])`);
  }

  /** The rows with these keys, found by their index where there is one. */
  async hashesOf(keys: readonly string[]): Promise<RowHashes> {
    const { key, columns } = this.#shape;
    const types = key.map((name) => columns.find((column) => column.name === name)!.type);
    const values = types.map((type, n) => `(k.value ->> ${n})::${type?.replace(/ collate .*$/, '')}`);
    const hasNull = keys.some((text) => (JSON.parse(text) as unknown[]).includes(null));
    const list = key.map(quoteIdentifier).join(', ');
    const where =
      hasNull || types.includes(null) || key.length === columns.length
        ? ` where ${this.#key} = any($1)`
        : ` where (${list}) in (select ${values.join(', ')} from unnest($1::text[]::json[]) as k (value))`;
    return this.#hashes(where, [keys]);
  }

  /** Distinct values of some columns, as text. */
  async distinct(columns: readonly string[]): Promise<(string | null)[][]> {
    const list = columns.map((name) => `${quoteIdentifier(name)}::text`).join(', ');
    const { rows } = await this.#client.query<{ value: (string | null)[] }>(
      `select distinct array[${list}] as value from ${this.#relation}`,
    );
    return rows.map(({ value }) => value);
  }

  async #hashes(where: string, values: unknown[] = []): Promise<RowHashes> {
    const { rows } = await this.#client.query<{ key: string; hash: string }>(
      `select ${this.#key} as key, string_agg(${this.#hash}, ' ' order by ${this.#hash}) as hash
         from ${this.#relation}${where}
        group by 1`,
      values,
    );
    return new Map(rows.map(({ key, hash }) => [key, hash]));
  }

  #bucket(): string {
    return `('x' || substr(md5(${this.#key}), 1, 4))::bit(16)::int % ${BUCKETS}`;
  }
}

/** 64 bits of the hash as a number: sums of them collide by chance once in 10¹⁹. */
function sumOf(hash: string): string {
  return `('x' || substr(${hash}, 1, 16))::bit(64)::bigint::numeric`;
}

function whereOf(range: ChunkRange | null): string {
  if (range === null) return '';
  const column = quoteIdentifier(range.column);
  const parts: string[] = [];
  if (range.from !== null) parts.push(`${column} >= ${quoteLiteral(range.from).trim()}`);
  if (range.to !== null) parts.push(`${column} < ${quoteLiteral(range.to).trim()}`);
  return parts.length === 0 ? '' : ` where ${parts.join(' and ')}`;
}
