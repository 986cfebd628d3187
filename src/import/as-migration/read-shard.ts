import type { Client } from 'pg';
import { quoteIdentifier } from '../../internal/quote.ts';
import type { PostgresExtension, PostgresType } from '../model/source-table.ts';
import { FUNCTIONS_SQL } from '../postgres/catalogue/tables-sql.ts';
import { type TypeRow, UserTypes } from '../postgres/catalogue/user-types.ts';
import {
  COLUMNS_SQL,
  COMMENTS_SQL,
  CONSTRAINTS_SQL,
  INDEXES_SQL,
  SEQUENCES_SQL,
  SHARD_TYPES_SQL,
  TABLES_SQL,
} from './structure-sql.ts';

/** A table of a shard, in pieces of SQL whose names are bare where they are the shard's. */
export interface ShardTable {
  readonly name: string;
  /** The name as SQL takes it; so everywhere here. */
  readonly quoted: string;
  readonly columns: readonly string[];
  readonly options: readonly string[];
  readonly sequences: readonly { readonly quoted: string; readonly options: string; readonly column: string | null }[];
  readonly constraints: readonly ShardConstraint[];
  /** Whole statements. */
  readonly indexes: readonly { readonly name: string; readonly statement: string }[];
  readonly comments: readonly string[];
  /** What its replica identity is, when it is another than the primary key: `full`, `nothing`, `using index …`. */
  readonly replicaIdentity: string | null;
}

export interface ShardConstraint {
  readonly name: string;
  readonly quoted: string;
  readonly kind: 'p' | 'u' | 'x' | 'c' | 'f';
  readonly validated: boolean;
  readonly definition: string;
  /** Of a foreign key: the table it refers to, `null` when that is not one of these. */
  readonly parent: string | null;
}

/** What tables of a shard are made of. */
export interface ShardStructure {
  readonly tables: readonly ShardTable[];
  readonly types: readonly PostgresType[];
  readonly extensions: readonly PostgresExtension[];
  /** Foreign keys that lead to other tables, and so stay out: `orders.orders_country_fkey → reference.country`. */
  readonly outsideKeys: readonly string[];
  /** Functions of the user that they need: `slug(text)`. */
  readonly functions: readonly string[];
  /** What is no plain table, or needs a type that can't be written. */
  readonly unfit: readonly string[];
}

type Row = Record<string, unknown>;

/** Reads how tables of a shard are made. @param wanted - chooses tables by name */
export async function readShard(
  client: Client,
  schema: string,
  wanted: (name: string) => boolean,
): Promise<ShardStructure> {
  // Local to the transaction: the session reads other shards after this
  await client.query('begin isolation level repeatable read read only');
  try {
    await client.query(`select set_config('search_path', $1, true)`, [quoteIdentifier(schema)]);
    return await read(client, schema, wanted);
  } finally {
    await client.query('rollback');
  }
}

async function read(client: Client, schema: string, wanted: (name: string) => boolean): Promise<ShardStructure> {
  const found = (await client.query<Row>(TABLES_SQL, [schema])).rows.filter(({ name }) => wanted(name as string));
  const plain = found.filter(({ kind }) => kind === 'r');
  const oids = plain.map(({ oid }) => oid);
  const names = new Map(plain.map(({ oid, name }) => [oid, name as string]));
  const rowsOf = async (sql: string, ...more: string[]): Promise<(row: Row) => Row[]> => {
    const { rows } = await client.query<Row>(sql, [oids, ...more]);
    return ({ oid }) => rows.filter(({ table_oid }) => table_oid === oid);
  };
  const columns = await rowsOf(COLUMNS_SQL);
  const sequences = await rowsOf(SEQUENCES_SQL, schema);
  const constraints = await rowsOf(CONSTRAINTS_SQL);
  const indexes = await rowsOf(INDEXES_SQL);
  const comments = await rowsOf(COMMENTS_SQL);
  const functions = await rowsOf(FUNCTIONS_SQL);
  const types = new UserTypes((await client.query<TypeRow>(SHARD_TYPES_SQL, [schema])).rows);
  const needs = types.needsOf(plain.flatMap((table) => columns(table).map(({ type_oid }) => Number(type_oid))));
  const isOutside = ({ kind, parent_oid }: Row): boolean => kind === 'f' && !names.has(parent_oid);
  return {
    tables: plain.map((table) => ({
      name: table.name as string,
      quoted: table.quoted as string,
      columns: columns(table).map(({ definition }) => definition as string),
      options: table.options as string[],
      sequences: sequences(table) as unknown as ShardTable['sequences'],
      constraints: constraints(table)
        .filter((row) => !isOutside(row))
        .map((row) => ({ ...(row as unknown as ShardConstraint), parent: names.get(row.parent_oid) ?? null })),
      indexes: indexes(table) as unknown as ShardTable['indexes'],
      comments: comments(table).map(({ statement }) => statement as string),
      replicaIdentity: replicaIdentityOf(table),
    })),
    types: needs.types,
    extensions: needs.extensions,
    outsideKeys: plain.flatMap((table) =>
      constraints(table)
        .filter(isOutside)
        .map(({ name, parent }) => `${String(table.name)}.${String(name)} → ${String(parent)}`),
    ),
    functions: [...new Set(plain.flatMap((table) => functions(table).map((row) => row.function as string)))]
      // Every shard has it from its beginning
      .filter((name) => name !== 'next_id()' && !name.startsWith('hypervault.'))
      .sort(),
    unfit: [
      ...found.filter(({ kind }) => kind !== 'r').map(({ name }) => `${String(name)} is partitioned or foreign`),
      ...needs.refusals,
    ],
  };
}

function replicaIdentityOf({ identity, identity_index: index }: Row): string | null {
  switch (identity) {
    case 'f':
      return 'full';
    case 'n':
      return 'nothing';
    case 'i':
      return `using index ${String(index)}`;
    default:
      return null;
  }
}
