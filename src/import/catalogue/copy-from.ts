import type { ClientBase } from 'pg';
import type { Position } from '../model/position.ts';
import type { SourceRow } from './source-rows.ts';

type Queryable = Pick<ClientBase, 'query'>;

/** Notes from where the log has to be read for the copy that begins now. */
export async function setCopyFrom(client: Queryable, source: SourceRow, position: Position): Promise<void> {
  await client.query('update hypervault.import_source set copy_from = $2 where source_id = $1', [
    source.id.toString(),
    JSON.stringify({ ...position, ordinal: position.ordinal.toString() }),
  ]);
}

/** The same of a copy that was cut off. */
export async function readCopyFrom(client: Queryable, source: SourceRow): Promise<Position | null> {
  const { rows } = await client.query<{ from: (Omit<Position, 'ordinal'> & { ordinal: string }) | null }>(
    'select copy_from as "from" from hypervault.import_source where source_id = $1',
    [source.id.toString()],
  );
  const from = rows[0]?.from ?? null;
  return from === null ? null : { ...from, ordinal: BigInt(from.ordinal) };
}
