import { sleep } from '../../internal/sleep.ts';
import { getSource, noteMaintenance, setFlags } from '../catalogue/source-rows.ts';
import type { EngineContext } from './context.ts';

export interface MaintenanceOptions {
  /** VACUUM FULL: gives the space back, and locks the tables meanwhile. @default false */
  readonly full?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How long running workers take to notice that they shall pause. */
const NOTICE_MS = 1_500;

const CONTROL_TABLES = ['import_log', 'import_source', 'import_table'];
const SERVER_TABLES = ['import_position', 'import_structure', 'import_chunk'];

/** Vacuums what the import writes often, while the workers of the source pause between two batches. */
export async function runMaintenance(
  context: EngineContext,
  name: string,
  options: MaintenanceOptions = {},
): Promise<{ readonly tables: readonly string[] }> {
  const { full = false, signal } = options;
  const source = await context.control((client) => getSource(client, name));
  await context.control((client) => setFlags(client, source, { paused: true }));
  const vacuumed: string[] = [];
  try {
    if (source.status === 'running') await sleep(NOTICE_MS, { signal, what: 'waiting for the workers to pause' });
    for (const server of context.servers.names) {
      await context.servers.with(server, async (client) => {
        const tables = [...(server === context.servers.control ? CONTROL_TABLES : []), ...SERVER_TABLES];
        for (const table of tables) {
          const there = await client.query<{ there: boolean }>('select to_regclass($1) is not null as there', [
            `hypervault.${table}`,
          ]);
          if (!there.rows[0]!.there) continue;
          await client.query(`vacuum (${full ? 'full, ' : ''}analyze) hypervault.${table}`);
          vacuumed.push(`${server}: hypervault.${table}`);
        }
      });
    }
    await context.control((client) => noteMaintenance(client, source));
  } finally {
    await context.control((client) => setFlags(client, source, { paused: false }));
  }
  return { tables: vacuumed };
}
