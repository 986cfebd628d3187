/**
 * Errors of moves.
 *
 * ```
 * HypervaultError
 * ├─ MovePreflightError     nothing was begun; `problems` holds one sentence for each check that failed
 * ├─ MoveBusyError          somebody else moves or migrates this shard at this moment, or a move of it is not over
 * ├─ MoveStalledError       a bound was reached (lag, retained log, pause); resume it or abort it
 * └─ MoveStateError         this can't be done to a move in its state: the sentence says what can
 * ```
 *
 * @module
 */

import { HypervaultError, type HypervaultErrorOptions } from '../../errors.ts';
import type { PreflightProblem } from './preflight.ts';

/** Some checks failed and nothing was begun. */
export class MovePreflightError extends HypervaultError {
  readonly shardId: number;
  readonly problems: readonly PreflightProblem[];

  constructor(shardId: number, problems: readonly PreflightProblem[]) {
    const sentences = problems.map(({ message }) => message).join('; ');
    super('MOVE_PREFLIGHT', `shard ${shardId} can't be moved: ${sentences}`);
    this.shardId = shardId;
    this.problems = problems;
  }
}

/** Somebody else is at this shard, or an earlier move of it is not over. */
export class MoveBusyError extends HypervaultError {
  readonly shardId: number;

  constructor(shardId: number, message: string, options?: HypervaultErrorOptions) {
    super('MOVE_BUSY', message, options);
    this.shardId = shardId;
  }
}

/** A bound was reached. The shard is where it was and takes writes; the move can be resumed or aborted. */
export class MoveStalledError extends HypervaultError {
  readonly shardId: number;

  constructor(shardId: number, message: string, options?: HypervaultErrorOptions) {
    super('MOVE_STALLED', `${message}; go on with hypervault move --resume, or undo it with --abort`, {
      retryable: true,
      ...options,
    });
    this.shardId = shardId;
  }
}

/** A move in this state can't do that. */
export class MoveStateError extends HypervaultError {
  constructor(message: string, options?: HypervaultErrorOptions) {
    super('MOVE_STATE', message, options);
  }
}
