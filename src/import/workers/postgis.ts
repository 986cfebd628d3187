import type { EngineContext } from '../commands/context.ts';

/** Whether a server has PostGIS, and geometry a type of its own there. */
export async function hasPostgis(context: EngineContext, server: string): Promise<boolean> {
  return context.servers.with(server, async (client) => {
    const { rows } = await client.query<{ there: boolean }>(
      `select exists (select from pg_extension where extname = 'postgis') as there`,
    );
    return rows[0]!.there;
  });
}
