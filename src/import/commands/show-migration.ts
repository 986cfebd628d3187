import type { ClientBase } from 'pg';
import { substitutePlaceholders } from '../../internal/psql-placeholders.ts';
import { quoteIdentifier } from '../../internal/quote.ts';
import { VALUE_SETTINGS } from '../apply/session-settings.ts';
import { readShard, type ShardStructure } from '../as-migration/read-shard.ts';
import { type Statement, writeStatements } from '../as-migration/write-statements.ts';
import { hasCatalogue } from '../catalogue/install.ts';
import { findSource, listSources, type SourceRow } from '../catalogue/source-rows.ts';
import { listTables, type TableRow } from '../catalogue/table-rows.ts';
import { ReplicaStateError } from '../errors.ts';
import { qualifiedName } from '../model/source-table.ts';
import type { Destination } from '../route/router.ts';
import { needsFullIdentity } from '../way-back/back-tables.ts';
import { together } from '../workers/together.ts';
import { type EngineContext, sourceConfig } from './context.ts';

/** The tables of an import as a file for `hypervault migrate`. */
export interface ImportedMigration {
  /** The file's text. */
  readonly sql: string;
  /** The tables in it, by name. */
  readonly tables: readonly string[];
  /** What stays out of it, and what to heed, as sentences. */
  readonly notes: readonly string[];
}

/** Which tables of the shards are meant. */
interface Choice {
  readonly wanted: (name: string) => boolean;
  /** Tables whose replica identity is another one as long as there is a way back. */
  readonly forNow: ReadonlySet<string>;
  readonly notes: readonly string[];
}

/**
 * Writes how the tables of an import are made in the shards, as they are there, as a migration: moves make shards elsewhere by
 * running migrations, and the import's tables came by none. Reads every shard; changes nothing.
 *
 * @throws ReplicaStateError while the source leads (foreign keys are made by switch and detach-replica only), when its
 *   tables are in no shard, and when shards differ
 */
export async function showMigration(context: EngineContext, source: string): Promise<ImportedMigration> {
  const config = sourceConfig(context, source);
  if (config.routing === null) {
    throw new ReplicaStateError(
      `the source ${source} goes into one schema: its tables are in no shard, and no move carries them`,
    );
  }
  await context.places.refresh();
  const choice = await choose(context, source);
  const { structure, statements } = await readAlike(context, source, choice);
  const tables = structure.tables.map(({ name }) => name);
  if (tables.length === 0) {
    throw new ReplicaStateError(
      `there is no table of ${source} in the shards: copy it first (hypervault import init-replica)`,
    );
  }
  const notes = [...choice.notes, ...notesOf(structure)];
  const sql = fileOf(source, statements, notes);
  // What a migration would take for a placeholder is better told here than by each shard
  substitutePlaceholders(sql, {}, `the migration of ${source}`);
  return { sql, tables, notes };
}

async function choose(context: EngineContext, name: string): Promise<Choice> {
  const there = await hasCatalogue(context.servers);
  const source = there ? await context.control((client) => findSource(client, name)) : null;
  if (source !== null) return context.control((client) => registered(client, source));
  const others = there ? await context.control(tablesOfAll) : new Set<string>();
  return {
    wanted: (table) => !others.has(table),
    forNow: new Set(),
    notes: [
      `the catalogue knows ${name} no more (or not yet), so every table of the shards is in the file but hypervault's own and those of other imports`,
    ],
  };
}

/** Of a source that the catalogue knows: what it follows. */
async function registered(client: ClientBase, source: SourceRow): Promise<Choice> {
  const { name, kind, status, direction } = source;
  if (status === 'ready' || status === 'initialising')
    throw new ReplicaStateError(`the source ${name} is ${status}: it is not copied yet; run init-replica first`);
  if (direction !== 'reverse' && direction !== 'finishing') {
    const end = kind === 'mysql' ? 'detach-replica' : 'switch (or detach-replica)';
    throw new ReplicaStateError(
      `the tables of ${name} still follow the source and have no foreign keys yet: write the migration after ${end}`,
    );
  }
  const rows = (await listTables(client, source)).filter(({ state }) => state !== 'dropped');
  const ours = rows.filter(
    ({ state, routing, target }) => state === 'followed' && routing.kind === 'by' && !target.kept,
  );
  const names = new Set(ours.map(({ target }) => target.name));
  return {
    wanted: (table) => names.has(table),
    forNow: new Set(ours.filter(needsFullIdentity).map(({ target }) => target.name)),
    notes: rows.filter((row) => !ours.includes(row)).map(outside),
  };
}

function outside({ source, target, state, routing, reason }: TableRow): string {
  const name = qualifiedName(source);
  if (state !== 'followed') return `${name} stays out: it is set aside${reason === null ? '' : ` (${reason})`}`;
  return target.kept
    ? `${name} stays out: it was there before the import (keep_existing_schema)`
    : `${name} stays out: it is no table of the shards (${routing.kind === 'reference' ? 'every server has it' : 'it is in one place'})`;
}

async function tablesOfAll(client: ClientBase): Promise<Set<string>> {
  const names = new Set<string>();
  for (const source of await listSources(client)) {
    for (const { routing, target } of await listTables(client, source))
      if (routing.kind === 'by') names.add(target.name);
  }
  return names;
}

interface Written {
  readonly structure: ShardStructure;
  readonly statements: readonly Statement[];
}

/** Reads all shards, which have to be alike: one file is run in each of them. */
async function readAlike(context: EngineContext, source: string, choice: Choice): Promise<Written> {
  const shards = context.places.allShards();
  const written = new Map<Destination, Written>();
  await together([...new Set(shards.map(({ server }) => server))], undefined, (server, signal) =>
    context.servers.with(server, async (client) => {
      await client.query(VALUE_SETTINGS);
      for (const shard of shards.filter((one) => one.server === server)) {
        signal.throwIfAborted();
        const structure = settled(await readShard(client, shard.schema, choice.wanted), choice);
        const statements = writeStatements(structure, shard.schema);
        refuseQualified(source, shard, statements);
        written.set(shard, { structure, statements });
      }
    }),
  );
  const [first, ...rest] = shards;
  const model = written.get(first!)!;
  for (const shard of rest) {
    const other = written.get(shard)!.statements;
    const differing = [...model.statements, ...other].find(
      ({ sql }) => !(model.statements.some((one) => one.sql === sql) && other.some((one) => one.sql === sql)),
    );
    if (differing === undefined) continue;
    throw new ReplicaStateError(
      `${differing.what} is not the same in ${first!.schema} on ${first!.server} and in ${shard.schema} on ${shard.server}: make the shards alike first, one migration is for all of them`,
    );
  }
  return model;
}

function settled(structure: ShardStructure, { forNow }: Choice): ShardStructure {
  const tables = structure.tables.map((table) =>
    forNow.has(table.name) ? { ...table, replicaIdentity: null } : table,
  );
  return { ...structure, tables };
}

/** Names of the shard come out bare, but where one of Postgres' own stands in the way. */
function refuseQualified(source: string, { schema }: Destination, statements: readonly Statement[]): void {
  const names = [`${schema}.`, `${quoteIdentifier(schema)}.`];
  const bound = statements.find(
    ({ what, sql }) => !/^a comment /.test(what) && names.some((name) => sql.includes(name)),
  );
  if (bound === undefined) return;
  throw new ReplicaStateError(
    `${source}: ${bound.what} names its schema ${schema}, so it can't be written for all shards: write this part of the migration by hand`,
  );
}

function notesOf({ outsideKeys, functions, unfit }: ShardStructure): string[] {
  return [
    ...unfit.map((what) => `${what}: it stays out`),
    ...outsideKeys.map(
      (key) => `the foreign key ${key} leads out of the shard: it stays out, and stands against a move`,
    ),
    ...functions.map(
      (name) => `the function ${name} is needed: have it on every server, or made by a migration with a lower number`,
    ),
  ];
}

function fileOf(source: string, statements: readonly Statement[], notes: readonly string[]): string {
  const head = [
    `The tables that the import of ${source} made in the shards, by hypervault import show-migration.`,
    'Where they are it changes nothing, and waits for no table but those with comments (SHARE UPDATE EXCLUSIVE, for a',
    'moment). When a shard moves, its tables are made by it on the other server.',
    ...notes,
  ];
  const lines = head.flatMap((text) => text.split('\n')).map((line) => `-- ${line}`);
  return `${[lines.join('\n'), ...statements.map(({ sql }) => `${sql};`)].join('\n\n')}\n`;
}
