import { quoteIdentifier } from '../../internal/quote.ts';
import { qualify } from '../apply/table-sql.ts';
import type { StoredRouting } from '../catalogue/table-rows.ts';
import type { RouteBy } from '../config/routing-config.ts';
import type { SourceConfig } from '../config/source-config.ts';
import { readExistingColumns } from '../ddl/existing-table.ts';
import type { Problem } from '../errors.ts';
import { fitExisting } from '../mapping/fit-existing.ts';
import { UnmappableTable } from '../mapping/map-table.ts';
import { narrowColumns } from '../mapping/narrow-columns.ts';
import { spreadTables } from '../mapping/spread-tables.ts';
import { qualifiedName, type SourceTable } from '../model/source-table.ts';
import type { TargetTable } from '../model/target-table.ts';
import { type KeyColumn, type KeyColumnPlan, planKeyColumns } from '../route/key-column.ts';
import { chooseRouting } from '../route/table-routing.ts';
import type { ImportSource } from '../source/import-source.ts';
import { serversOf } from '../workers/load-tables.ts';
import { hasPostgis } from '../workers/postgis.ts';
import { cascadeWarnings } from './cascade-warnings.ts';
import { type EngineContext, mappingOptions } from './context.ts';
import { checkTarget } from './target-checks.ts';
import { isWanted } from './wanted.ts';

/** A table that can be copied, with its place. */
export interface PlannedTable {
  readonly source: SourceTable;
  readonly target: TargetTable;
  readonly routing: StoredRouting;
  readonly by: RouteBy | null;
}

/** What is there to copy, and everything that stands against it. */
export interface Survey {
  readonly tables: readonly PlannedTable[];
  /** Tables of the source that are left out because they cannot be mapped. */
  readonly leftOut: readonly { readonly source: SourceTable; readonly reason: string }[];
  readonly problems: readonly Problem[];
  /** Routing columns that tables get from their parents before they are copied. */
  readonly additions: readonly KeyColumn[];
}

/**
 * Looks at source, target and configuration together and changes nothing.
 * A problem of one table leaves out that table (a warning); a problem of the server is an error.
 */
export async function surveySource(
  context: EngineContext,
  config: SourceConfig,
  source: ImportSource,
  { schemas = Object.keys(config.schemaMappings) }: { schemas?: readonly string[] } = {},
): Promise<Survey> {
  const problems: Problem[] = [...(await source.preflight(schemas))];
  const servers = serversOf(context, config);
  const postgis = await hasPostgis(context, servers[0]!);
  const options = mappingOptions(context, config, postgis);
  const found = (await source.readTables(schemas)).filter((table) => isWanted(config, table));
  const planned: PlannedTable[] = [];
  const leftOut: { source: SourceTable; reason: string }[] = [];
  const ways =
    source.keyColumnSql === undefined || config.routing === null ? null : planKeyColumns(found, config.routing);
  for (const table of found) {
    const choice = chooseRouting(table, config.routing);
    if ('problem' in choice) {
      problems.push(withoutKey(config, source, qualifiedName(table), choice.problem, ways));
      continue;
    }
    try {
      const target = source.mapTable(table, schemaFor(config, table, choice.routing), options);
      planned.push({ source: table, target, routing: choice.routing, by: choice.by });
    } catch (error) {
      if (!(error instanceof UnmappableTable)) throw error;
      leftOut.push({ source: table, reason: error.reasons.join('; ') });
      for (const reason of error.reasons)
        problems.push({ level: 'warning', table: qualifiedName(table), message: `left out: ${reason}` });
    }
  }
  const tables = config.keepExistingSchema
    ? await fitTables(context, servers[0]!, planned, problems)
    : spreadTables(planned);
  for (const { source: table, target } of tables) {
    const name = qualifiedName(table);
    if (target.identity.kind === 'whole-row') {
      problems.push({
        level: 'warning',
        table: name,
        message: 'it has no key: changes are applied by comparing whole rows, which is slow',
      });
    }
    if (!table.transactional) {
      problems.push({
        level: 'warning',
        table: name,
        message: 'its engine has no transactions: it is locked against writing while it is copied',
      });
    }
    if (config.kind === 'pgsql') problems.push(...narrowWarnings(table, target));
    for (const remark of target.remarks) problems.push({ level: 'warning', table: name, message: remark });
  }
  problems.push(...missingTables(config, found));
  if (config.kind === 'mysql') problems.push(...cascadeWarnings(context, config, tables));
  problems.push(...((await source.reviewTables?.(tables)) ?? []));
  for (const server of servers) problems.push(...(await checkTarget(context, config, server, tables)));
  const additions = config.addKeyColumn ? [...(ways?.values() ?? [])].filter((way) => 'table' in way) : [];
  return { tables, leftOut, problems, additions };
}

/** The way back asks for columns as wide as the target's: made so after the copy, the table has to be copied again. */
function narrowWarnings(source: SourceTable, target: TargetTable): Problem[] {
  const columns = narrowColumns(source, target);
  if (columns.length === 0) return [];
  const changes = columns.map(({ name }) => `alter column ${quoteIdentifier(name)} type bigint`).join(', ');
  return [
    {
      level: 'warning',
      table: qualifiedName(source),
      message: `${columns.map(({ name, type }) => `${name} (${type})`).join(', ')} will hold ids of 64 bits in the shards, and switch asks for the same width here: best before the copy, run "alter table ${qualify(source.schema, source.name)} ${changes}"`,
    },
  ];
}

/** What is to be said, and done, of a table that lacks its routing column. */
function withoutKey(
  { addKeyColumn }: SourceConfig,
  source: ImportSource,
  table: string,
  problem: string,
  ways: KeyColumnPlan | null,
): Problem {
  const way = ways?.get(table);
  if (way === undefined) return { level: 'error', table, message: problem };
  if ('refusal' in way)
    return { level: 'error', table, message: `${problem}. To get it from a parent: ${way.refusal}` };
  const origin = `the column ${way.name} of ${qualifiedName(way.parent)}, to which its ${way.foreignKey.name} leads`;
  if (addKeyColumn)
    return {
      level: 'warning',
      table,
      message: `it gets ${origin}, before it is copied: the column is added, filled in parts, and kept right by a trigger and a foreign key; from the switch on your application gives it to new rows`,
    };
  return {
    level: 'error',
    table,
    message: `it has no column ${way.name}, but could have ${origin}: let it be added with add_key_column (--add-key-column), or run the statements below; else name it in reference_tables (each server gets all of it), or leave it out with skip_tables`,
    sql: source.keyColumnSql!(way),
  };
}

/** The tables as they are in the target already (`keep_existing_schema`). */
async function fitTables(
  context: EngineContext,
  server: string,
  planned: readonly PlannedTable[],
  problems: Problem[],
): Promise<PlannedTable[]> {
  const fitted: PlannedTable[] = [];
  for (const table of planned) {
    const { source, target } = table;
    const there = `${target.schema}.${target.name}`;
    const existing = await context.servers.with(server, (client) =>
      readExistingColumns(client, target.schema, target.name),
    );
    const fit =
      existing === null
        ? {
            refusals: [
              `keep_existing_schema needs the table ${there}, which is not there: make it, or leave ${source.name} out with skip_tables`,
            ],
          }
        : fitExisting(source, target, existing);
    if ('target' in fit) fitted.push({ ...table, target: fit.target });
    else for (const message of fit.refusals) problems.push({ level: 'error', table: qualifiedName(source), message });
  }
  return fitted;
}

function schemaFor(config: SourceConfig, table: SourceTable, routing: StoredRouting): string {
  const mapped = config.schemaMappings[table.schema]!;
  return routing.kind === 'reference' ? (config.routing?.referenceSchema ?? mapped) : mapped;
}

/** Names in limit_tables that nobody has: mostly a slip of the hand. */
function missingTables(config: SourceConfig, found: readonly SourceTable[]): Problem[] {
  const names = new Set(found.map(qualifiedName));
  return config.limitTables
    .filter((name) => !names.has(name) && !config.skipTables.includes(name))
    .map((name) => ({
      level: 'warning' as const,
      table: name,
      message: 'limit_tables names it, and there is no such table',
    }));
}
