import { HypervaultError } from '../../errors.ts';
import { SV, sqlStateOf } from '../../internal/sqlstate.ts';

/** The position is no longer the one that the applier found when it was opened: another one has applied changes. */
export class PositionMoved extends Error {
  constructor() {
    super('another worker has moved the position of this source');
  }
}

/** Whether somebody else has applied changes, so that one's own have to be read again. */
export function isPositionMoved(error: unknown): boolean {
  return error instanceof PositionMoved || sqlStateOf(error) === SV.importPositionMoved;
}

/** Whether an error comes of a table's rows or structure, so that leaving the table out helps. */
export function isOfTheTable(error: unknown): boolean {
  if (error instanceof HypervaultError) return error.code === 'UNREPRESENTABLE_VALUE';
  // 22: data, 23: integrity, 42: structure, 54: limits, 55: not in the state, 2BP01: others depend on it, 0A000: not supported
  return /^(22|23|42|54|55[^P]|2B|0A|P0)/.test(sqlStateOf(error) ?? '');
}
