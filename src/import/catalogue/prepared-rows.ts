import type { ClientBase } from 'pg';
import type { PreparedChange } from '../stream/prepared-transactions.ts';

type Queryable = Pick<ClientBase, 'query'>;

/** The XA transactions that are prepared at the place of the log that a server has applied, by xid. */
export async function listPrepared(client: Queryable, sourceKey: string): Promise<Map<string, Buffer>> {
  const { rows } = await client.query<{ xid: string; held: Buffer }>(
    'select xid, held from hypervault.import_prepared where source = $1',
    [sourceKey],
  );
  return new Map(rows.map(({ xid, held }) => [xid, held]));
}

/** Notes what a batch begins and ends, in the caller's transaction. Doing it again changes nothing. */
export async function storePrepared(
  client: Queryable,
  sourceKey: string,
  changes: readonly PreparedChange[],
): Promise<void> {
  for (const { xid, held } of changes) {
    if (held === null) {
      await client.query('delete from hypervault.import_prepared where source = $1 and xid = $2', [sourceKey, xid]);
      continue;
    }
    await client.query(
      `insert into hypervault.import_prepared (source, xid, held)
       values ($1, $2, $3)
       on conflict (source, xid) do update
          set held = excluded.held,
              prepared = clock_timestamp()`,
      [sourceKey, xid, held],
    );
  }
}

/** Reading begins anew. */
export async function deletePrepared(client: Queryable, sourceKey: string): Promise<void> {
  await client.query('delete from hypervault.import_prepared where source = $1', [sourceKey]);
}
