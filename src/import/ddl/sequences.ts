import type { Client } from 'pg';
import { quoteIdentifier } from '../../internal/quote.ts';
import { qualify } from '../apply/table-sql.ts';
import type { TargetTable } from '../model/target-table.ts';

/**
 * Lets the sequence behind each numbered column go on where the source's numbering is, or behind the highest value.
 *
 * @param nextNumber - what the source would give out next: rows with higher numbers may have been deleted there
 * @returns how many were set
 */
export async function setSequences(
  client: Client,
  table: TargetTable,
  schema: string,
  nextNumber: string | null,
): Promise<number> {
  let count = 0;
  const place = qualify(schema, table.name);
  for (const { name, identity } of table.columns) {
    if (!identity) continue;
    const column = quoteIdentifier(name);
    const { rows } = await client.query<{ value: string | null }>(
      `select setval(s.sequence, greatest(m.highest + 1, $3::numeric, 1)::bigint, false)::text as value
         from (select pg_get_serial_sequence($1, $2) as sequence) s,
              (select max(${column}) as highest from ${place}) m
        where s.sequence is not null`,
      [place, name, nextNumber],
    );
    count += rows.length;
  }
  return count;
}
