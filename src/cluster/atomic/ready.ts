import type { Datastore } from '../../core/index.ts';
import { ConfigurationError, SchemaError } from '../../errors.ts';

/** Whether every server can prepare transactions, and has what atomic writes need. @throws ConfigurationError, SchemaError */
export async function assertReady(db: Datastore): Promise<void> {
  await Promise.all(
    db.map.servers.map(async ({ name, ranges }) => {
      const shardId = ranges[0]?.from;
      if (shardId === undefined) return;
      const { rows } = await db.withCursor(shardId, (cursor) =>
        cursor.query<{ most: number; installed: boolean }>(
          `select current_setting('max_prepared_transactions')::integer as most,
             to_regprocedure('hypervault.atomic_enter(text, integer, integer, integer)') is not null
               and exists (
                 select from pg_attribute where attrelid = to_regclass('hv_decision') and attname = 'places'
               ) as installed`,
        ),
      );
      const { most, installed } = rows[0]!;
      if (!installed) {
        throw new SchemaError(
          `${name}: atomic writes are not installed, or not up to date; run hypervault init, or install() with the module cluster`,
        );
      }
      if (most === 0) {
        throw new ConfigurationError(
          `${name} has max_prepared_transactions = 0, so it can't take part in atomic writes; set it to at least max_connections and restart the server`,
        );
      }
    }),
  );
}
