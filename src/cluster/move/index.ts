export { MoveBusyError, MovePreflightError, MoveStalledError, MoveStateError } from './errors.ts';
export { janitor } from './janitor.ts';
export type { MoveObjects, MoveRow } from './journal.ts';
export {
  abortMoves,
  finishMoves,
  listMoves,
  type MovePlan,
  type MoveSelection,
  moveShards,
  planMoves,
  resumeMoves,
  revertMoves,
} from './move.ts';
export type { MoveOptions, MoveProgress, MoveSetting } from './options.ts';
export type { PreflightProblem } from './preflight.ts';
export { MOVE_STEPS, type MoveState, type MoveStep, type StepPhase } from './steps.ts';
export type { TraceKind } from './traces.ts';
