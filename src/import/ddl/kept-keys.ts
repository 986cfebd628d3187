import type { Client } from 'pg';
import { quoteIdentifier } from '../../internal/quote.ts';
import { qualify } from '../apply/table-sql.ts';
import type { ForeignKeyResult } from './foreign-keys.ts';

/**
 * Takes off the foreign keys from and to tables, and writes them down in the same transaction.
 * @see restoreKeys
 */
export async function takeOffKeys(
  client: Client,
  sourceKey: string,
  tables: readonly { readonly schema: string; readonly name: string }[],
): Promise<void> {
  const { rows } = await client.query<{ schema: string; table: string; name: string }>(
    `with key as (
       select distinct n.nspname as schema_name, c.relname as table_name, k.conname as name,
              pg_get_constraintdef(k.oid) as definition, k.convalidated as validated
         from unnest($2::text[], $3::text[]) as wanted (schema_name, table_name)
         join pg_namespace wn on wn.nspname = wanted.schema_name
         join pg_class wc on wc.relnamespace = wn.oid and wc.relname = wanted.table_name
         join pg_constraint k on wc.oid in (k.conrelid, k.confrelid) and k.contype = 'f' and k.conparentid = 0
         join pg_class c on c.oid = k.conrelid
         join pg_namespace n on n.oid = c.relnamespace
     ), kept as (
       insert into hypervault.import_kept_key (source, schema_name, table_name, name, definition, validated)
       select $1, schema_name, table_name, name, definition, validated
         from key
       on conflict (source, schema_name, table_name, name) do update
          set definition = excluded.definition,
              validated = excluded.validated
     )
     select schema_name as schema, table_name as "table", name
       from key`,
    [sourceKey, tables.map(({ schema }) => schema), tables.map(({ name }) => name)],
  );
  for (const { schema, table, name } of rows)
    await client.query(`alter table ${qualify(schema, table)} drop constraint ${quoteIdentifier(name)}`);
}

/**
 * Makes the foreign keys again: NOT VALID first, which takes a short lock, then checked without locking writers out.
 * One that the rows violate stays unchecked and is reported; one that cannot be made is kept in the table.
 */
export async function restoreKeys(client: Client, sourceKey: string): Promise<ForeignKeyResult[]> {
  const { rows } = await client.query<{
    schema: string;
    table: string;
    name: string;
    definition: string;
    validated: boolean;
  }>(
    `select schema_name as schema, table_name as "table", name, definition, validated
       from hypervault.import_kept_key
      where source = $1
      order by 1, 2, 3`,
    [sourceKey],
  );
  const results: ForeignKeyResult[] = [];
  for (const { schema, table, name, definition, validated } of rows) {
    const [place, key] = [qualify(schema, table), quoteIdentifier(name)];
    const bare = definition.replace(/ NOT VALID$/, '');
    let reason: string | null = null;
    let there = false;
    try {
      await client.query(`alter table ${place} drop constraint if exists ${key}`);
      await client.query(`alter table ${place} add constraint ${key} ${bare} not valid`);
      there = true;
      if (validated) await client.query(`alter table ${place} validate constraint ${key}`);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      reason = there ? `it is there, but the rows violate it: ${message}` : message;
    }
    if (there) {
      await client.query(
        `delete from hypervault.import_kept_key
          where source = $1
            and schema_name = $2
            and table_name = $3
            and name = $4`,
        [sourceKey, schema, table, name],
      );
    }
    results.push({ table: `${schema}.${table}`, name, made: reason === null, reason });
  }
  return results;
}
