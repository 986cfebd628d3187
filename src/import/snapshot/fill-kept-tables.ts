import type { Client } from 'pg';
import { columnList, qualify } from '../apply/table-sql.ts';
import { takeOffKeys } from '../ddl/kept-keys.ts';
import { loadingSchema } from '../mapping/names.ts';
import type { TableToSwap } from './swap-tables.ts';

/**
 * Brings loaded rows into tables that were there before, which stay what they are, with all that hangs on them: what
 * was in them is truncated. Readers see the old rows until the transaction that the caller has open commits; it takes
 * ACCESS EXCLUSIVE on the tables, and on those that a foreign key joins with them.
 */
export async function fillKeptTables(
  client: Client,
  sourceKey: string,
  tables: readonly TableToSwap[],
  { lockTimeoutMs }: { lockTimeoutMs: number },
): Promise<void> {
  await client.query(`set local lock_timeout = ${Math.round(lockTimeoutMs)}`);
  const places = tables.flatMap(({ target, destinations }) =>
    destinations.map(({ schema }) => ({ schema, name: target.name })),
  );
  await takeOffKeys(client, sourceKey, places);
  for (const { target, destinations } of tables) {
    const columns = columnList(target.columns.filter(({ generated }) => generated === null).map(({ name }) => name));
    for (const { schema } of destinations) {
      const [place, loaded] = [qualify(schema, target.name), qualify(loadingSchema(schema), target.name)];
      await client.query(`truncate table ${place}`);
      await client.query(`insert into ${place} (${columns}) overriding system value select ${columns} from ${loaded}`);
      await client.query(`drop table ${loaded}`);
    }
  }
}
