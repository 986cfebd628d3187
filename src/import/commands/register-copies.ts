import type { ClientBase } from 'pg';
import { qualify } from '../apply/table-sql.ts';
import type { SourceRow } from '../catalogue/source-rows.ts';
import { deleteTable, listTables, putTable, setTableState, type TableRow } from '../catalogue/table-rows.ts';
import type { SourceConfig } from '../config/source-config.ts';
import { loadingSchema } from '../mapping/names.ts';
import { qualifiedName, type SourceTable } from '../model/source-table.ts';
import { unmappedTable } from '../model/target-table.ts';
import { TableCopy } from '../snapshot/copy-job.ts';
import { routerOf } from '../workers/load-tables.ts';
import type { EngineContext } from './context.ts';
import { isSamePlan } from './same-plan.ts';
import type { Survey } from './survey.ts';

/** The tables of a copy, as the catalogue has them now. */
export interface RegisteredCopies {
  readonly copies: TableCopy[];
  /** Ids of those that go on from where an interrupted copy was. */
  readonly keep: Set<number>;
}

/** Enters the tables into the catalogue. A table whose structure is the one of an interrupted copy goes on from there. */
export async function registerCopies(
  context: EngineContext,
  config: SourceConfig,
  source: SourceRow,
  survey: Survey,
  { resume }: { readonly resume: boolean },
): Promise<RegisteredCopies> {
  const keep = new Set<number>();
  const copies = await context.control(async (client) => {
    const rows = await listTables(client, source);
    const known = new Map(rows.map((row) => [qualifiedName(row.source), row]));
    // A table that was renamed or dropped in what is not applied yet, and whose place the copy takes
    const forgetOthers = async (client: ClientBase, { id }: TableRow, { schema, name }: SourceTable): Promise<void> => {
      for (const row of rows)
        if (row.id !== id && row.source.schema === schema && row.source.name === name)
          await deleteTable(client, row.id);
    };
    const result: TableCopy[] = [];
    for (const planned of survey.tables) {
      const old = known.get(qualifiedName(planned.source));
      const goesOn =
        resume && old !== undefined && old.state === 'copying' && old.chunks !== null && isSamePlan(old, planned);
      const row = goesOn ? old : await putTable(client, source, planned);
      if (goesOn) keep.add(row.id);
      result.push(new TableCopy(row, routerOf(context, config, row)));
      await forgetOthers(client, row, planned.source);
    }
    for (const { source: table, reason } of survey.leftOut) {
      const target = unmappedTable(config.schemaMappings[table.schema]!, table.name);
      const row = await putTable(client, source, { source: table, target, routing: { kind: 'one' } });
      await setTableState(client, row.id, 'aside', reason);
      await forgetOthers(client, row, table);
    }
    return result;
  });
  for (const copy of copies) {
    if (!keep.has(copy.row.id) || (await isThere(context, copy))) continue;
    keep.delete(copy.row.id);
    copy.plan = null;
  }
  return { copies, keep };
}

/** Whether a copy's loading tables are there: they are gone when the run was cut off after the swap. */
async function isThere(context: EngineContext, { row, router }: TableCopy): Promise<boolean> {
  for (const { server, schema } of router.destinations) {
    const there = await context.servers.with(server, async (client) => {
      const { rows } = await client.query<{ there: boolean }>('select to_regclass($1) is not null as there', [
        qualify(loadingSchema(schema), row.target.name),
      ]);
      return rows[0]!.there;
    });
    if (!there) return false;
  }
  return true;
}
