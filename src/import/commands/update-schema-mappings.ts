import { quoteIdentifier } from '../../internal/quote.ts';
import { lockSource } from '../catalogue/lock.ts';
import { listStructures, putStructure } from '../catalogue/position-rows.ts';
import { inTransaction } from '../catalogue/servers.ts';
import { getSource, listSources, setMappings } from '../catalogue/source-rows.ts';
import { updateStructure } from '../catalogue/table-names.ts';
import { deleteTable, listTables } from '../catalogue/table-rows.ts';
import { ReplicaStateError } from '../errors.ts';
import { catchUp } from './catch-up.ts';
import { type EngineContext, holding, sourceConfig } from './context.ts';
import { stopReplica } from './stop-replica.ts';

export interface MappingChange {
  readonly renamed: readonly { readonly from: string; readonly to: string }[];
  /** Origin schemas that are not replicated any more; their tables stay as they are. */
  readonly removed: readonly string[];
  /** Origin schemas that are new: copy each with refresh-schema. */
  readonly added: readonly string[];
}

/**
 * Brings the target in line with changed `schema_mappings`: what is read is applied first, then the target schemas
 * are renamed in one transaction together with the catalogue.
 */
export async function updateSchemaMappings(
  engine: EngineContext,
  name: string,
  {
    signal,
    timeoutMs = 600_000,
  }: { readonly signal?: AbortSignal | undefined; readonly timeoutMs?: number | undefined } = {},
): Promise<MappingChange> {
  const config = sourceConfig(engine, name);
  if (config.routing !== null)
    throw new ReplicaStateError(`the source ${name} goes to shards, whose schemas have fixed names`);
  await stopReplica(engine, name, { signal });
  const source = await engine.control((client) => getSource(client, name));
  const lock = await lockSource(engine.servers, source, { waitMs: 5_000, signal });
  const context = holding(engine, source);
  try {
    const before = source.mappings;
    const after = config.schemaMappings;
    await refuseTaken(context, name, Object.values(after));
    const renamed = Object.entries(before)
      .filter(([origin, target]) => after[origin] !== undefined && after[origin] !== target)
      .map(([origin, target]) => ({ origin, from: target, to: after[origin]! }));
    const removed = Object.keys(before).filter((origin) => after[origin] === undefined);
    const added = Object.keys(after).filter((origin) => before[origin] === undefined);
    if (renamed.length > 0 && source.status !== 'ready') await catchUp(context, config, source, { signal, timeoutMs });
    const server = config.server ?? context.config.topology.control;
    await context.servers.with(server, (client) =>
      inTransaction(client, async () => {
        const structures = await listStructures(client, source.key);
        // A run that was cut off before it told the catalogue has renamed them already
        const left = renamed.filter(({ origin, to }) => {
          const own = structures.filter((row) => row.source.schema === origin);
          return own.length === 0 || own.some((row) => row.target.schema !== to);
        });
        // Two schemas may have exchanged their names
        for (const { from } of left)
          await client.query(`alter schema ${quoteIdentifier(from)} rename to ${quoteIdentifier(`hv_rename_${from}`)}`);
        for (const { from, to } of left)
          await client.query(`alter schema ${quoteIdentifier(`hv_rename_${from}`)} rename to ${quoteIdentifier(to)}`);
        for (const row of structures) {
          const schema = after[row.source.schema];
          if (schema === undefined || schema === row.target.schema) continue;
          await putStructure(client, source.key, { ...row, target: { ...row.target, schema } });
        }
      }),
    );
    await context.control(async (client) => {
      for (const row of await listTables(client, source)) {
        const schema = after[row.source.schema];
        if (schema === undefined) await deleteTable(client, row.id);
        else if (schema !== row.target.schema)
          await updateStructure(client, source, { ...row, target: { ...row.target, schema } });
      }
      await setMappings(client, source, after);
    });
    return { renamed: renamed.map(({ from, to }) => ({ from, to })), removed, added };
  } finally {
    await lock.release();
  }
}

async function refuseTaken(context: EngineContext, name: string, targets: readonly string[]): Promise<void> {
  for (const other of await context.control(listSources)) {
    if (other.name === name) continue;
    const taken = Object.values(other.mappings).find((schema) => targets.includes(schema));
    if (taken !== undefined)
      throw new ReplicaStateError(`the target schema ${taken} belongs to the source ${other.name}`);
  }
}
