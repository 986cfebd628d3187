import type { ClientBase } from 'pg';
import type { SourceRow, SourceStatus } from './source-rows.ts';

/** What every version of the catalogue has of a source. */
export type KnownSource = Pick<SourceRow, 'id' | 'name' | 'status'>;

/** Reads sources out of a catalogue that may be of an earlier version: an upgrade begins with it. */
export async function listKnownSources(client: Pick<ClientBase, 'query'>): Promise<KnownSource[]> {
  const { rows } = await client.query<{ id: string; name: string; status: SourceStatus }>(
    'select source_id::text as id, name, status from hypervault.import_source order by source_id',
  );
  return rows.map(({ id, ...row }) => ({ id: BigInt(id), ...row }));
}
