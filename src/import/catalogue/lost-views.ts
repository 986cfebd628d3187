import type { ClientBase } from 'pg';
import type { SavedView } from '../ddl/user-objects.ts';

/** Keeps the definition of a view that no longer fits its tables, so that it can be mended by hand. */
export async function noteLostView(client: Pick<ClientBase, 'query'>, view: SavedView, reason: string): Promise<void> {
  await client.query(
    `insert into hypervault.import_lost_view (schema_name, view_name, definition, reason)
     values ($1, $2, $3, $4)
     on conflict (schema_name, view_name) do update
        set definition = excluded.definition,
            reason = excluded.reason,
            noted = clock_timestamp()`,
    [view.schema, view.name, view.definition, reason],
  );
}
