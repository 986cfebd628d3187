import type { Client } from 'pg';
import { deleteStructure, putStructure } from '../catalogue/position-rows.ts';
import { runStatements } from '../ddl/run-statements.ts';
import { dropViews, restoreViews, type SavedView, saveViews } from '../ddl/user-objects.ts';
import type { Batch, StructureRound, TableChanges } from '../stream/batch.ts';
import type { FollowedTable } from '../stream/followed-table.ts';
import { applyCascades } from './apply-cascades.ts';
import { applyRows } from './apply-rows.ts';
import type { StageTables } from './stage-tables.ts';

/** What applying a batch needs to know of its server. */
export interface ApplyTarget {
  readonly client: Client;
  readonly server: string;
  readonly sourceKey: string;
  readonly stages: StageTables;
  /** The place of the log that the server has applied. */
  readonly applied: bigint;
  /** Tables that were set aside after the batch was read. */
  readonly aside: ReadonlySet<number>;
  /** Wraps each step, to find the one that fails; the plain way runs it. */
  readonly step: (table: FollowedTable, work: () => Promise<void>) => Promise<void>;
  readonly onLostView: (view: SavedView, reason: string) => void;
}

/** What was applied, for the record. */
export interface ApplyCounts {
  readonly changes: number;
  readonly statements: number;
}

/** Runs the rounds of a batch that concern one server, inside a transaction that is open already. */
export async function applyRounds(batch: Batch, target: ApplyTarget): Promise<ApplyCounts> {
  let changes = 0;
  let statements = 0;
  for (const round of batch.rounds) {
    if (round.kind === 'structure') {
      if (await applyStructure(round, target)) statements += 1;
      continue;
    }
    for (const [table, places] of round.tables) {
      if (target.aside.has(table.id)) continue;
      for (const change of changesAt(places.values(), target.server)) {
        changes += change.received;
        await target.step(table, () => applyRows(target.client, batch.lines, change, target.stages));
      }
    }
    if (round.cascades !== null) await applyCascades(round.cascades, target);
  }
  return { changes, statements };
}

function* changesAt(all: Iterable<TableChanges>, server: string): Generator<TableChanges> {
  for (const changes of all) if (changes.destination.server === server) yield changes;
}

async function applyStructure(round: StructureRound, target: ApplyTarget): Promise<boolean> {
  const { before, after } = round;
  const table = after ?? before;
  if (table === null || round.transactionStart < target.applied) return false;
  const destinations = table.router.destinations.filter(({ server }) => server === target.server);
  if (destinations.length === 0) return false;
  if (target.aside.has(table.id)) {
    // Under which name the source has it now has to be known still
    await noteStructure(round, table.id, target);
    return false;
  }
  await target.step(table, async () => {
    for (const { schema } of destinations) await changeStructure(round, schema, target);
    await noteStructure(round, table.id, target);
  });
  return true;
}

async function noteStructure(
  { after }: StructureRound,
  tableId: number,
  { client, sourceKey }: ApplyTarget,
): Promise<void> {
  if (after === null) await deleteStructure(client, sourceKey, tableId);
  else await putStructure(client, sourceKey, { ...after, tableId });
}

/** Views of the user stand in the way of dropping or changing a column: they are taken down and put up again. */
async function changeStructure(
  { before, statements }: StructureRound,
  schema: string,
  target: ApplyTarget,
): Promise<void> {
  if (statements.length === 0) return;
  const views = before === null ? [] : await saveViews(target.client, [{ schema, name: before.target.name }]);
  await dropViews(target.client, views);
  await runStatements(target.client, statements, schema);
  for (const { view, reason } of await restoreViews(target.client, views)) target.onLostView(view, reason);
}
