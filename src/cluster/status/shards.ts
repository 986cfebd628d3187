import type { Client } from 'pg';
import { quoteIdentifier, quoteLiteral } from '../../internal/quote.ts';

/** What one server holds of one shard. */
export interface ShardReport {
  readonly shardId: number;
  /** The server it was found on. */
  readonly on: string;
  /** The server its owner row names; `null` when it has none. */
  readonly owner: string | null;
  readonly epoch: bigint | null;
  /** Tables, indexes and all that belongs to them. */
  readonly sizeBytes: bigint;
  /** Rows of the user's tables and of entities, as the planner estimates them; `null` before the first ANALYZE. */
  readonly estimatedRows: bigint | null;
  /** The newest of the user's own migrations. */
  readonly migration: string | null;
  /** Our own schema by module: `{"core": "1.3"}` is release 1, file 3. */
  readonly schema: Readonly<Record<string, string>>;
}

const SIZES = `
select right(namespace.nspname, 4)::int as shard,
       namespace.nspname as schema,
       coalesce(sum(pg_total_relation_size(class.oid)) filter (where class.relkind in ('r', 'm')), 0)::text as size,
       (
         sum(greatest(class.reltuples, 0)) filter (
           where class.relkind = 'r'
             and class.reltuples >= 0
             and class.relname not in ('hv_owner', 'hv_ledger', 'hv_migrations')
         )
       )::bigint::text as rows,
       coalesce(bool_or(class.relname = 'hv_owner'), false) as owned,
       coalesce(bool_or(class.relname = 'hv_ledger'), false) as installed,
       coalesce(bool_or(class.relname = 'hv_migrations'), false) as migrated
from pg_namespace as namespace
left join pg_class as class on class.relnamespace = namespace.oid
where namespace.nspname ~ ('^' || $1 || '\\d{4}$')
group by namespace.nspname
order by namespace.nspname`;

/** Schemas asked for in one statement: more would make it longer than the planner likes. */
const BATCH = 128;

/** Every shard schema on a server, with or without a place in the map. */
export async function readShards(client: Client, on: string, schemaPrefix: string): Promise<ShardReport[]> {
  const { rows } = await client.query<SizeRow>(SIZES, [schemaPrefix]);
  const said = new Map<string, SaidRow>();
  for (let at = 0; at < rows.length; at += BATCH) {
    const text = rows
      .slice(at, at + BATCH)
      .map(whatItSays)
      .join('\nunion all\n');
    for (const row of (await client.query<SaidRow>(text)).rows) said.set(row.schema, row);
  }
  return rows.map(({ shard, schema, size, rows: estimated }) => {
    const { owner, epoch, migration, versions } = said.get(schema)!;
    return {
      shardId: shard,
      on,
      owner,
      epoch: epoch === null ? null : BigInt(epoch),
      sizeBytes: BigInt(size),
      estimatedRows: estimated === null ? null : BigInt(estimated),
      migration,
      schema: versions ?? {},
    };
  });
}

interface SizeRow {
  readonly shard: number;
  readonly schema: string;
  readonly size: string;
  readonly rows: string | null;
  readonly owned: boolean;
  readonly installed: boolean;
  readonly migrated: boolean;
}

interface SaidRow {
  readonly schema: string;
  readonly owner: string | null;
  readonly epoch: string | null;
  readonly migration: string | null;
  readonly versions: Record<string, string> | null;
}

/** The owner row and the ledgers of one shard, as far as it has them. */
function whatItSays({ schema, owned, installed, migrated }: SizeRow): string {
  const from = quoteIdentifier(schema);
  const owner = (column: string): string => (owned ? `(select ${column} from ${from}.hv_owner)` : 'null');
  const newest = `(select name from ${from}.hv_migrations where kind = 'migration' order by substring(name from '^\\d+')::int desc limit 1)`;
  const versions = `(
    select jsonb_object_agg(module, release || '.' || version)
    from (
      select module, max(release) as release, max(substring(name from '^\\d+')::int) as version
      from ${from}.hv_ledger
      where kind = 'migration'
      group by module
    ) as per_module
  )`;
  return `select ${quoteLiteral(schema)} as schema,
    ${owner('server')}::text as owner,
    ${owner('epoch')}::text as epoch,
    ${migrated ? newest : 'null'}::text as migration,
    ${installed ? versions : 'null'}::jsonb as versions`;
}
