import { quoteIdentifier, quoteLiteral } from '../../internal/quote.ts';
import type { PostgresExtension, PostgresType } from '../model/source-table.ts';
import type { ShardStructure, ShardTable } from './read-shard.ts';

/** A statement, and what it is about. */
export interface Statement {
  readonly what: string;
  readonly sql: string;
}

/**
 * Statements that make tables where they are missing, to run with the shard first in the search path. Where they are, nothing
 * is changed and nobody kept from writing; a statement that would take a strong lock first looks whether it is needed.
 */
export function writeStatements(
  { tables, types, extensions }: Pick<ShardStructure, 'tables' | 'types' | 'extensions'>,
  schema: string,
): Statement[] {
  const outside = new Set([...extensions, ...types.filter((type) => type.schema !== schema)].map((one) => one.schema));
  return [
    ...[...outside].filter((name) => name !== 'public').map(schemaStatement),
    ...extensions.map(extensionStatement),
    ...types.map((type) => typeStatement(type, schema)),
    // Also a default of one may take its numbers from the sequence of another
    ...tables.flatMap(sequenceStatements),
    ...tables.flatMap(tableStatements),
    ...tables.flatMap(laterStatements),
  ];
}

// What is of the server and not of the shard is made once by shards that come to it side by side
const MADE_MEANWHILE = 'exception when duplicate_object or duplicate_schema or unique_violation then null;';

function schemaStatement(name: string): Statement {
  const there = `not exists (select from pg_namespace where nspname = ${literal(name)})`;
  return { what: `the schema ${name}`, sql: when(there, `create schema ${quoteIdentifier(name)}`, MADE_MEANWHILE) };
}

function extensionStatement({ name, schema }: PostgresExtension): Statement {
  const there = `not exists (select from pg_extension where extname = ${literal(name)})`;
  const create = `create extension ${quoteIdentifier(name)} with schema ${quoteIdentifier(schema)}`;
  return { what: `the extension ${name}`, sql: when(there, create, MADE_MEANWHILE) };
}

function typeStatement({ schema: home, name, create }: PostgresType, schema: string): Statement {
  const what = `the type ${name}`;
  const prefix = `${quoteIdentifier(home)}.`;
  if (home !== schema) {
    const missing = `to_regtype(${literal(`${prefix}${quoteIdentifier(name)}`)}) is null`;
    return { what, sql: when(missing, create, MADE_MEANWHILE) };
  }
  const there = `select from pg_type join pg_namespace as home on home.oid = typnamespace
    where home.nspname = current_schema() and typname = ${literal(name)}`;
  return { what, sql: when(`not exists (${there})`, create.replace(prefix, '')) };
}

function sequenceStatements({ name, sequences }: ShardTable): Statement[] {
  return sequences.map(({ quoted, options }) => ({
    what: `the sequence ${quoted} of ${name}`,
    sql: `create sequence if not exists ${quoted} ${options}`.trim(),
  }));
}

function tableStatements(table: ShardTable): Statement[] {
  const { name, quoted, columns, constraints, options, sequences, indexes, comments, replicaIdentity } = table;
  const parts = [
    ...columns,
    ...constraints.filter((one) => !isLater(one)).map((one) => `constraint ${one.quoted} ${one.definition}`),
  ];
  const storage = options.length === 0 ? '' : `\nwith (${options.join(', ')})`;
  const itself = `${literal(quoted)}::regclass`;
  return [
    { what: `the table ${name}`, sql: `create table if not exists ${quoted} (\n  ${parts.join(',\n  ')}\n)${storage}` },
    ...sequences
      .filter(({ column }) => column !== null)
      .map((sequence) => ({
        what: `the sequence ${sequence.quoted} of ${name}`,
        sql: when(
          `not exists (select from pg_depend where objid = ${literal(sequence.quoted)}::regclass and refobjid = ${itself} and deptype = 'a')`,
          `alter sequence ${sequence.quoted} owned by ${quoted}.${sequence.column}`,
        ),
      })),
    ...indexes.map((index) => ({
      what: `the index ${index.name}`,
      sql: when(
        `not exists (select from pg_index join pg_class on pg_class.oid = indexrelid where indrelid = ${itself} and relname = ${literal(index.name)})`,
        index.statement,
      ),
    })),
    ...(replicaIdentity === null
      ? []
      : [
          {
            what: `the replica identity of ${name}`,
            sql: when(
              `exists (select from pg_class where oid = ${itself} and relreplident = 'd')`,
              `alter table ${quoted} replica identity ${replicaIdentity}`,
            ),
          },
        ]),
    ...comments.map((sql) => ({ what: `a comment of ${name}`, sql })),
  ];
}

/** Foreign keys come when all tables are there; and `not valid` holds only of what comes to a table. */
function laterStatements({ name, quoted, constraints }: ShardTable): Statement[] {
  return constraints.filter(isLater).map((one) => ({
    what: `the constraint ${one.name} of ${name}`,
    sql: when(
      `not exists (select from pg_constraint where conrelid = ${literal(quoted)}::regclass and conname = ${literal(one.name)})`,
      `alter table ${quoted} add constraint ${one.quoted} ${one.definition}`,
    ),
  }));
}

function isLater({ kind, validated }: ShardTable['constraints'][number]): boolean {
  return kind === 'f' || !validated;
}

/** Runs a statement only if. */
function when(condition: string, statement: string, otherwise = ''): string {
  const body = `begin
  if ${condition} then
    ${statement};
  end if;
${otherwise}${otherwise === '' ? '' : '\n'}end`;
  let tag = '$hv$';
  for (let n = 1; body.includes(tag); n += 1) tag = `$hv${n}$`;
  return `do ${tag} ${body} ${tag}`;
}

function literal(text: string): string {
  return quoteLiteral(text).trim();
}
