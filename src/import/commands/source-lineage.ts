import { SchemaError } from '../../errors.ts';
import { findSource, replaceOrigin } from '../catalogue/source-rows.ts';
import type { ImportLog } from '../log/import-log.ts';
import type { EngineContext } from './context.ts';

/**
 * Which server in the history of a source this one is: 0 for the first, one more after each failover. Another server
 * numbers its log anew, so places of its log have to be told apart from those of the one before, and come after them.
 *
 * The catalogue keeps it as `number identity`, written before anything is read from a new server.
 */
export async function sourceLineage(
  context: Pick<EngineContext, 'control'> & { readonly log: ImportLog },
  name: string,
  identity: string | null,
): Promise<bigint> {
  if (identity === null) return 0n;
  try {
    for (;;) {
      const row = await context.control((client) => findSource(client, name));
      if (row === null) return 0n;
      const { lineage, server } = parseOrigin(row.origin);
      if (server === identity) return lineage;
      const next = server === null ? lineage : lineage + 1n;
      const written = await context.control((client) => replaceOrigin(client, row, `${next} ${identity}`));
      if (!written) continue;
      if (server !== null) context.log.warn(`${name}: the source is another server now: ${identity}, after ${server}`);
      return next;
    }
  } catch (error) {
    // Looked at before there is a catalogue
    if (error instanceof SchemaError) return 0n;
    throw error;
  }
}

function parseOrigin(origin: string | null): { lineage: bigint; server: string | null } {
  if (origin === null) return { lineage: 0n, server: null };
  const [, lineage, server] = /^(\d+) (.*)$/s.exec(origin) ?? [];
  return lineage === undefined ? { lineage: 0n, server: origin } : { lineage: BigInt(lineage), server: server! };
}
