import type { CustomTypesConfig, QueryArrayResult } from 'pg';
import { AbortedError, OutcomeUnknownError } from '../errors.ts';
import { isConnectionLoss, SQLSTATE, sqlStateOf } from '../internal/sqlstate.ts';
import { RowNotReturnedError } from './errors.ts';
import { byShard } from './gathered-reads.ts';
import type { Gatherer, Gathering } from './gatherer.ts';
import type { Lane, LaneStatement } from './lane.ts';
import { isFence, mayHaveMoved } from './moved-shard.ts';
import { hasLostPlan } from './statement.ts';
import { type Part, partsOf } from './write-parts.ts';

/** A statement that carries one call, or several of one kind for one table and shard. */
export interface WriteStatement {
  readonly text: string;
  readonly values: unknown[];
  readonly types?: CustomTypesConfig | undefined;
}

/** One kind of write on one table of one shard. */
export interface WriteSource {
  readonly shardId: number;
  /** Most calls one statement may carry; 1 for writes that can't be merged. */
  readonly maxCalls: number;
  /** Values with which the statement finds and changes nothing, if there are any. */
  readonly nothing?: unknown[];
  statement(calls: readonly WriteCall[]): WriteStatement;
  /** Hands each call its outcome, by `call.done` or `call.fail`. */
  settle(calls: readonly WriteCall[], result: QueryArrayResult): void;
}

/** One write asked for. `done` or `fail` is called exactly once. */
export interface WriteCall {
  readonly source: WriteSource;
  /** The id, or '' while it has none. Single writes of a shard go in this order, so that two batches lock rows alike. */
  readonly order: string;
  /** Sent twice it does nothing twice: its id was reserved ahead. */
  readonly repeatable: boolean;
  /** Past this moment (`Date.now()`) a failure is told to the caller; 0 while there was none. */
  retryUntil: number;
  /** Past this nobody waits for it: what was not sent by then never is. */
  readonly signal?: AbortSignal | undefined;
  /** `done` or `fail` was called. */
  settled: boolean;
  done(outcome: unknown): void;
  fail(error: unknown): void;
}

/** What writes need from the server they belong to. */
export interface WriteHost {
  readonly server: string;
  readonly retryMs: number;
  lost(error: unknown): void;
  /** Calls of one shard. `lane`: the session that met the error. */
  moved(calls: WriteCall[], error: unknown, lane?: Lane): void;
  /** The server has left the map: what it has not done is done elsewhere. */
  hasLeft(): boolean;
  /** Runs one statement on a client of its own, where it may wait for a row lock. */
  alone(statement: WriteStatement): Promise<QueryArrayResult>;
}

/** A write that waits longer than this for a row lock leaves the batch and waits by itself. */
const LOCK_TIMEOUT = "begin; set local lock_timeout = '100ms'";
const AGAIN = new Set<string | undefined>([SQLSTATE.serializationFailure, SQLSTATE.deadlockDetected]);
/** The server ended the session on purpose: what it had not answered yet it did not commit. */
const ENDED = new Set<string | undefined>([SQLSTATE.adminShutdown, SQLSTATE.crashShutdown, SQLSTATE.cannotConnectNow]);

type Reply = { readonly error: unknown; readonly result?: undefined } | { readonly result: QueryArrayResult };

/**
 * Writes, gathered: one transaction for a batch and server, shards in ascending order, one WAL flush for all of it.
 *
 * ```
 *  batch ─► begin, statements, commit (sent together) ─► committed: every call gets its outcome
 *                   │                    │
 *                   │                    └─ reply lost: repeatable calls are sent again, the others get OutcomeUnknown
 *                   └─ a statement failed: all rolled back; the calls of that statement are tried in halves,
 *                      until the one at fault is alone and gets its error; the rest is sent again
 * ```
 *
 * When BEGIN itself fails – cancelled, say, by a time-out of the role while the machine stood still – what was sent behind
 * it ran all the same, each statement as a transaction of its own: then each has its own outcome, and none is sent again
 * that succeeded.
 */
export class GatheredWrites implements Gathering<WriteCall> {
  readonly #host: WriteHost;
  #gatherer: Gatherer<WriteCall> | undefined;

  constructor(host: WriteHost) {
    this.#host = host;
  }

  use(gatherer: Gatherer<WriteCall>): void {
    this.#gatherer = gatherer;
  }

  add(call: WriteCall): void {
    this.#gatherer!.add(call);
  }

  send(lane: Lane, calls: WriteCall[], finished: () => void): void {
    this.#run(lane, calls).then(finished, (error: unknown) => {
      for (const call of calls) call.fail(error);
      finished();
    });
  }

  refuse(calls: WriteCall[], error: unknown): void {
    if (this.#host.hasLeft()) return byShard(calls, (group) => this.#host.moved(group, error));
    for (const call of calls) call.fail(error);
  }

  async #run(lane: Lane, asked: readonly WriteCall[]): Promise<void> {
    const calls = asked.filter(isWanted);
    const parts = partsOf(calls);
    if (parts.length === 0) return;
    // Nothing was sent on a session that was lost before: whatever it is, it can go on another one.
    if (lane.loss !== undefined) return this.#again(calls, lane.loss);
    const statements = parts.map(({ source: { shardId, nothing }, calls, source }) => ({
      shardId,
      nothing,
      ...source.statement(calls),
    }));
    const whole = parts.length > 1 || parts[0]!.source.maxCalls === 1;
    const replies = await exchange(lane, whole ? [begin, ...statements, commit] : statements);
    const failedAt = replies.findIndex((reply) => reply.result === undefined);
    if (failedAt < 0) {
      const results = whole ? replies.slice(1, -1) : replies;
      for (const [index, part] of parts.entries()) settle(part, results[index]!.result!);
      return;
    }
    const { error } = replies[failedAt] as { error: unknown };
    if (isConnectionLoss(error)) {
      const rolledBack = ENDED.has(sqlStateOf(error)) && failedAt < statements.length + (whole ? 1 : 0);
      return this.#lost(calls, error, rolledBack);
    }
    if (whole && failedAt === 0) {
      for (const [index, part] of parts.entries()) {
        const reply = replies[index + 1]!;
        if (reply.result === undefined) await this.#failed(lane, part, reply.error);
        else settle(part, reply.result);
      }
      return;
    }
    const culprit = parts[whole ? failedAt - 1 : failedAt];
    // COMMIT itself failed: a deferred constraint, and no telling whose.
    if (culprit === undefined) return this.#halves(lane, calls, error);
    // A fence stands before the whole shard: its other calls would only meet it too, one statement after the other.
    const { shardId } = culprit.source;
    const met = isFence(error) ? calls.filter((call) => call.source.shardId === shardId) : culprit.calls;
    await this.#failed(lane, { ...culprit, calls: met }, error);
    const rest = new Set(met);
    await this.#run(
      lane,
      calls.filter((call) => !rest.has(call)),
    );
  }

  /** The transaction is rolled back; the calls of the failed statement are tried in halves. */
  async #failed(lane: Lane, { source, calls }: Part, error: unknown): Promise<void> {
    const state = sqlStateOf(error);
    if (state === SQLSTATE.readOnlySqlTransaction) {
      this.#host.lost(error);
      lane.stalled = true;
      return this.#again(calls, error);
    }
    if (hasLostPlan(error)) {
      lane.stalled = true;
      return this.#again(calls, error);
    }
    if (mayHaveMoved(error)) return this.#host.moved(calls, error, lane);
    if (calls.length > 1) return this.#halves(lane, calls, error);
    if (AGAIN.has(state)) return this.#again(calls, error);
    if (state === SQLSTATE.lockNotAvailable) return this.#alone(source, calls);
    calls[0]!.fail(error);
  }

  async #halves(lane: Lane, calls: readonly WriteCall[], error: unknown): Promise<void> {
    if (calls.length === 1) return calls[0]!.fail(error);
    const middle = calls.length >> 1;
    await this.#run(lane, calls.slice(0, middle));
    await this.#run(lane, calls.slice(middle));
  }

  /** Waits for the row lock on a client of its own; the lane goes on meanwhile. */
  #alone(source: WriteSource, calls: WriteCall[]): void {
    this.#host.alone(source.statement(calls)).then(
      (result) => settle({ source, calls }, result),
      (error: unknown) => {
        if (isConnectionLoss(error)) this.#lost(calls, error, ENDED.has(sqlStateOf(error)));
        else if (mayHaveMoved(error)) this.#host.moved(calls, error);
        else this.refuse(calls, error);
      },
    );
  }

  #lost(calls: readonly WriteCall[], error: unknown, rolledBack: boolean): void {
    this.#host.lost(error);
    this.#again(
      calls.filter((call) => rolledBack || call.repeatable),
      error,
    );
    if (rolledBack) return;
    for (const call of calls) {
      if (call.repeatable) continue;
      call.fail(
        new OutcomeUnknownError(
          `the session with ${this.#host.server} was lost after the write was sent, and it is not known whether it ` +
            'happened; reserve keys ahead (reserveKeys) to make such writes safe to repeat',
          { cause: error },
        ),
      );
    }
  }

  #again(calls: readonly WriteCall[], error: unknown): void {
    const now = Date.now();
    for (const call of calls) {
      if (call.retryUntil === 0) call.retryUntil = now + this.#host.retryMs;
      if (now < call.retryUntil) this.add(call);
      else call.fail(error);
    }
  }
}

/** Whether somebody still waits for it; tells the others that it was not sent. */
function isWanted(call: WriteCall): boolean {
  if (!call.signal?.aborted) return true;
  call.fail(new AbortedError('a write', call.signal.reason));
  return false;
}

/** The statement did its work: each call gets its outcome, whatever becomes of another's. */
function settle({ source, calls }: Part, result: QueryArrayResult): void {
  let failure: unknown = new RowNotReturnedError();
  try {
    source.settle(calls, result);
  } catch (error) {
    failure = error;
  }
  for (const call of calls) if (!call.settled) call.fail(failure);
}

const begin = { shardId: -1, text: LOCK_TIMEOUT };
const commit = { shardId: -1, text: 'commit' };

/** Sends all and waits for all replies; a COMMIT that rolled back is preceded by the error that made it. */
function exchange(lane: Lane, statements: readonly Omit<LaneStatement, 'done'>[]): Promise<Reply[]> {
  return new Promise((resolve) => {
    const replies: Reply[] = [];
    lane.send(
      statements.map((statement) => ({
        ...statement,
        done: (error, result) => {
          replies.push(error === undefined ? { result: result! } : { error });
          if (replies.length === statements.length) resolve(replies);
        },
      })),
    );
  });
}
