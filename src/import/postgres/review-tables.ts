import type { Client } from 'pg';
import { quoteIdentifier } from '../../internal/quote.ts';
import { qualify } from '../apply/table-sql.ts';
import type { Problem } from '../errors.ts';
import { qualifiedName, type SourceForeignKey } from '../model/source-table.ts';
import type { RoutedTable } from '../source/import-source.ts';
import { tableInventory } from './inventory/inventory.ts';

/** How long one look at the rows of a foreign key may take, in ms. */
const LOOK_MS = 30_000;

/** Everything of the tables that cannot follow to where they shall go, with the way out. */
export async function reviewTables(
  client: Client,
  tables: readonly RoutedTable[],
  { setsIdentity }: { readonly setsIdentity: boolean },
): Promise<Problem[]> {
  const problems = await tableInventory(
    client,
    tables.map(({ source }) => source),
  );
  for (const table of tables) {
    problems.push(
      ...identityProblems(table, setsIdentity),
      ...partitionWarnings(table),
      ...moveWarnings(table),
      ...uniqueWarnings(table),
    );
    for (const key of table.source.foreignKeys)
      problems.push(...(await foreignKeyProblems(client, table, key, tables)));
  }
  return problems;
}

/** Whether the log will tell enough of old rows, and the statement that makes it so. */
export function identityStatement({ source, routing }: RoutedTable): string | null {
  return needsFullIdentity({ source, routing })
    ? [qualify(source.schema, source.name), ...source.postgres!.partitions]
        .map((place) => `alter table ${place} replica identity full`)
        .join('; ')
    : null;
}

function needsFullIdentity({ source, routing }: RoutedTable): boolean {
  const { replicaIdentity, identityColumns } = source.postgres!;
  if (replicaIdentity === 'full') return false;
  if (replicaIdentity === 'nothing') return true;
  return routing.kind === 'by' && !routing.columns.every((name) => identityColumns.includes(name));
}

function identityProblems(table: RoutedTable, setsIdentity: boolean): Problem[] {
  const statement = identityStatement(table);
  if (statement === null) return [];
  const name = qualifiedName(table.source);
  const why =
    table.source.postgres!.replicaIdentity === 'nothing'
      ? 'it has no primary key and no replica identity: once it is published, the source itself refuses to update and delete its rows'
      : `the log tells of a deleted row only its key, from which its shard cannot be told`;
  if (setsIdentity)
    return [{ level: 'warning', table: name, message: `${why}; its replica identity will be set to full` }];
  return [
    {
      level: 'error',
      table: name,
      message: `${why}: run "${statement}", or let it be done with set_replica_identity (--set-replica-identity), give it a key that holds the routing column, or leave it out with skip_tables`,
    },
  ];
}

/** A partition that is made later has the default identity, whatever its root's is. */
function partitionWarnings(table: RoutedTable): Problem[] {
  const { partitioned, replicaIdentity } = table.source.postgres!;
  if (!partitioned || !(replicaIdentity === 'full' || needsFullIdentity(table))) return [];
  const without =
    table.source.primaryKey.length === 0
      ? 'without it the source refuses to update and delete its rows'
      : 'without it the table is set aside at the first row of it that changes';
  return [
    {
      level: 'warning',
      table: qualifiedName(table.source),
      message: `give each new partition "replica identity full" when you make it: ${without}`,
    },
  ];
}

/** A row that moves takes its large values along only when the log repeats them. */
function moveWarnings({ source, routing }: RoutedTable): Problem[] {
  const { replicaIdentity, identityColumns } = source.postgres!;
  if (routing.kind !== 'by' || replicaIdentity === 'full' || replicaIdentity === 'nothing') return [];
  const columns = source.columns.filter(({ name, postgres }) => postgres!.large && !identityColumns.includes(name));
  if (columns.length === 0 || needsFullIdentity({ source, routing })) return [];
  const place = qualify(source.schema, source.name);
  return [
    {
      level: 'warning',
      table: qualifiedName(source),
      message: `when the routing key of a row changes and a large value (over 2 kB, in ${columns.map(({ name }) => name).join(', ')}) stays, the table is set aside, for the log does not repeat the value; if that happens here, run "alter table ${place} replica identity full" first`,
    },
  ];
}

function uniqueWarnings({ source, routing }: RoutedTable): Problem[] {
  if (routing.kind !== 'by') return [];
  return source.indexes
    .filter(
      ({ unique, columns }) => unique && !routing.columns.every((name) => columns.some((part) => part.name === name)),
    )
    .map(({ name }) => ({
      level: 'warning' as const,
      table: qualifiedName(source),
      message: `the unique index ${name} does not hold the routing key: from the switch on it holds within each shard only`,
    }));
}

async function foreignKeyProblems(
  client: Client,
  child: RoutedTable,
  key: SourceForeignKey,
  tables: readonly RoutedTable[],
): Promise<Problem[]> {
  const name = qualifiedName(child.source);
  const parent = tables.find(({ source }) => source.schema === key.parentSchema && source.name === key.parentTable);
  const problem = (message: string): Problem[] => [{ level: 'warning', table: name, message }];
  if (parent === undefined) {
    return problem(
      `the foreign key ${key.name} refers to ${key.parentSchema}.${key.parentTable}, which does not come along; it will not be made`,
    );
  }
  if (parent.routing.kind !== 'by') return [];
  const wayOut = `route ${qualifiedName(parent.source)} and ${name} by the same key, or make the parent a reference table`;
  if (child.routing.kind !== 'by') {
    return problem(
      `the foreign key ${key.name} reaches from every server into the shards of ${key.parentTable}; it will not be made: ${wayOut}`,
    );
  }
  if (isBound(child, parent, key)) return [];
  const strays = await hasStrays(client, child, parent, key);
  if (strays === false) return [];
  return problem(
    strays === null
      ? `whether the foreign key ${key.name} reaches across shards could not be told within ${LOOK_MS / 1_000} s; at the switch it is made if it does not`
      : `the foreign key ${key.name} reaches across shards: rows whose ${child.routing.columns.join(', ')} is not that of their ${key.parentTable}; it will not be made: ${wayOut}`,
  );
}

/** Whether the key itself says that child and parent have the same routing key. */
function isBound(child: RoutedTable, parent: RoutedTable, key: SourceForeignKey): boolean {
  if (child.routing.kind !== 'by' || parent.routing.kind !== 'by') return false;
  const theirs = parent.routing.columns;
  return child.routing.columns.every((name, n) => {
    const at = key.columns.indexOf(name);
    return at !== -1 && key.parentColumns[at] === theirs[n];
  });
}

/** Whether any child row has another routing key than its parent; `null` when looking took too long. */
async function hasStrays(
  client: Client,
  child: RoutedTable,
  parent: RoutedTable,
  key: SourceForeignKey,
): Promise<boolean | null> {
  if (child.routing.kind !== 'by' || parent.routing.kind !== 'by') return null;
  if (child.routing.columns.length !== parent.routing.columns.length) return true;
  const on = key.columns.map((name, n) => `c.${quoteIdentifier(name)} = p.${quoteIdentifier(key.parentColumns[n]!)}`);
  const row = (alias: string, columns: readonly string[]): string =>
    `(${columns.map((name) => `${alias}.${quoteIdentifier(name)}::text`).join(', ')})`;
  await client.query('begin read only');
  try {
    await client.query(`set local statement_timeout = ${LOOK_MS}`);
    const { rows } = await client.query<{ strays: boolean }>(
      `select exists (
         select from ${qualify(child.source.schema, child.source.name)} c
           join ${qualify(parent.source.schema, parent.source.name)} p on ${on.join(' and ')}
          where ${row('c', child.routing.columns)} is distinct from ${row('p', parent.routing.columns)}
       ) as strays`,
    );
    return rows[0]!.strays;
  } catch {
    return null;
  } finally {
    await client.query('rollback');
  }
}
