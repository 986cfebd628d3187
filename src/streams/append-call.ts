import { EventIdConflictError, StreamDeletedError, StreamsError, WrongExpectedVersionError } from './errors.ts';
import { EXPECTED_CODE, expectedOfCode } from './expected-version.ts';
import type { EncodedEvent } from './new-event.ts';

/** What an append gives back. */
export interface WriteResult {
  readonly stream: string;
  readonly shardId: number;
  readonly firstEventNumber: bigint;
  /** Also the version to expect with the next append. */
  readonly lastEventNumber: bigint;
  /** The same events were there already, by their ids: nothing was written. */
  readonly repeated: boolean;
}

/** One append asked for. `resolve` or `reject` is called exactly once. */
export interface AppendCall {
  readonly shardId: number;
  readonly stream: string;
  /** A code of the functions in the shard. */
  readonly expected: bigint;
  readonly events: readonly EncodedEvent[];
  readonly bytes: number;
  readonly correlationId: string | undefined;
  /** Look for the event ids first: they came from the caller, or the append may have happened before. */
  checked: boolean;
  /** Its session was lost after it was sent, at least once. */
  mayHaveHappened: boolean;
  /** Past this moment (`Date.now()`) a failure is told to the caller; 0 while there was none. */
  retryUntil: number;
  resolve(result: WriteResult): void;
  reject(error: unknown): void;
}

/** Whether two appends to one stream may be written as one: neither asks anything that the other could change. */
export function mergeable(call: AppendCall): boolean {
  return call.expected === EXPECTED_CODE.any && !call.checked;
}

/** One row that `hv_append` gave back, for `calls` that were written as one append. */
export interface AppendOutcome {
  readonly outcome: string;
  readonly first: bigint | undefined;
  readonly actual: bigint;
}

/** Hands an outcome to its calls. */
export function settleAppend(calls: readonly AppendCall[], { outcome, first, actual }: AppendOutcome): void {
  if (outcome === 'appended' || outcome === 'repeated') {
    let next = first!;
    for (const call of calls) {
      const { stream, shardId } = call;
      const firstEventNumber = next;
      next += BigInt(call.events.length);
      call.resolve({ stream, shardId, firstEventNumber, lastEventNumber: next - 1n, repeated: outcome === 'repeated' });
    }
    return;
  }
  for (const call of calls) call.reject(refusal(call, { outcome, first, actual }));
}

/** The error of an append that was refused. */
export function refusal(
  { stream, expected, correlationId }: Pick<AppendCall, 'stream' | 'expected' | 'correlationId'>,
  { outcome, first, actual }: AppendOutcome,
): StreamsError {
  switch (outcome) {
    case 'wrong_version':
      return new WrongExpectedVersionError(stream, expectedOfCode(expected), actual, { correlationId });
    case 'conflict':
      return new EventIdConflictError(stream, first!, { correlationId });
    case 'deleted':
      return new StreamDeletedError(stream, true, { correlationId });
    default:
      return new StreamsError('PROTOCOL', `the shard answered ${JSON.stringify(outcome)} to an append`, { stream });
  }
}
