import type { ClientBase } from 'pg';
import { quoteIdentifier } from '../../internal/quote.ts';
import type { Batch, StructureRound } from '../stream/batch.ts';
import { applyRows } from './apply-rows.ts';
import type { StageTables } from './stage-tables.ts';

/** Runs the rounds of a batch that concern one server, inside a transaction that is open already. */
export async function applyRounds(
  client: ClientBase,
  batch: Batch,
  server: string,
  stages: StageTables,
): Promise<void> {
  for (const round of batch.rounds) {
    if (round.kind === 'structure') {
      await applyStructure(client, round, server);
      continue;
    }
    for (const places of round.tables.values()) {
      for (const [destination, changes] of places) {
        if (destination.server === server) await applyRows(client, batch.lines, changes, stages);
      }
    }
  }
}

async function applyStructure(client: ClientBase, round: StructureRound, server: string): Promise<void> {
  const table = round.after ?? round.before;
  if (table === null) return;
  for (const destination of table.router.destinations) {
    if (destination.server !== server) continue;
    for (const statement of round.statements) {
      await client.query(statement.replaceAll(':schema', quoteIdentifier(destination.schema)));
    }
  }
}
