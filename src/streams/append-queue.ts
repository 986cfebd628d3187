import { QueueFullError } from '../core/index.ts';
import { ClosedError, OutcomeUnknownError } from '../errors.ts';
import { Backoff } from '../internal/backoff.ts';
import { sleep } from '../internal/sleep.ts';
import { SQLSTATE, sqlStateOf } from '../internal/sqlstate.ts';
import { type AppendCall, settleAppend } from './append-call.ts';
import { type AppendGroup, appendGroups } from './append-statement.ts';
import { explained, failureKind } from './failure.ts';
import type { Statement } from './lane.ts';
import type { Shards } from './shards.ts';
import { type TakenGroup, WaitingAppends } from './waiting-appends.ts';

/** A batch carries no more bytes than this, unless one append alone is larger. */
const MAX_BATCH_BYTES = 4 * 1024 * 1024;

/**
 * What waits is divided among the sessions that are free, so that the server works on one half while this process works
 * on the other; but a batch of fewer streams than this costs more in round trips and commits than that brings. Where
 * there are as many shards it is divided by shard, if their parts are not too unlike: each shard in a batch costs a
 * statement of its own, about as much as 15 events.
 */
const MIN_SHARE = 16;
const UNLIKE = 1.5;

const BEGIN: Statement = { text: 'begin', values: [] };
const COMMIT: Statement = { text: 'commit', values: [] };

/**
 * Gathers concurrent appends to one server.
 *
 * ```
 *            add                    a session is free
 *  (idle) ────────► stream is ready ─────────────────► in flight ─────► settled, or the stream is ready again
 * ```
 *
 * 1. A stream is in one batch at a time, so its appends happen in the order in which they were asked for.
 * 2. Every append has an outcome of its own; what is refused is no error of the batch.
 * 3. A batch that fails is rolled back whole and sent again append by append.
 * 4. When the reply is lost the appends are sent again with a look at their event ids first: nothing happens twice.
 */
export class AppendQueue {
  readonly #shards: Shards;
  readonly #onAppended: (shardId: number) => void;
  readonly #waiting = new WaitingAppends();
  #queued = 0;
  #inFlight = 0;
  #flushPlanned = false;

  constructor(shards: Shards, onAppended: (shardId: number) => void) {
    this.#shards = shards;
    this.#onAppended = onAppended;
  }

  get queued(): number {
    return this.#queued;
  }

  add(call: AppendCall): void {
    const { options, closed } = this.#shards;
    if (closed) return call.reject(this.#shards.closedError());
    if (this.#queued >= options.maxQueued) {
      return call.reject(new QueueFullError(`${this.#queued} appends wait already (option maxQueued)`));
    }
    this.#queued += 1;
    this.#waiting.add(call);
    this.#plan();
  }

  /** Rejects what waits; what is in flight settles by itself. */
  close(): void {
    for (const call of this.#waiting.drain()) this.#settled(call).reject(this.#shards.closedError());
  }

  #plan(): void {
    if (this.#flushPlanned || this.#inFlight >= this.#shards.options.maxAppendSessions) return;
    this.#flushPlanned = true;
    // After the microtasks: everybody who was woken by the last reply gets to ask for the next append first.
    setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    this.#flushPlanned = false;
    while (this.#waiting.size > 0 && this.#inFlight < this.#shards.options.maxAppendSessions) {
      const batch = this.#take();
      this.#inFlight += 1;
      void this.#run(batch).finally(() => {
        this.#inFlight -= 1;
        for (const { line } of batch) this.#waiting.putBack(line);
        if (this.#waiting.size > 0) this.#plan();
      });
    }
  };

  #take(): TakenGroup[] {
    const { maxAppendSessions, maxAppendEvents } = this.#shards.options;
    const { size, shards } = this.#waiting;
    const free = maxAppendSessions - this.#inFlight;
    const share = Math.max(Math.ceil(size / free), MIN_SHARE);
    return this.#waiting.take({
      streams: share,
      streamsOfShard: shards < free ? share : Math.ceil(share * UNLIKE),
      events: maxAppendEvents,
      bytes: MAX_BATCH_BYTES,
    });
  }

  async #run(batch: readonly TakenGroup[]): Promise<void> {
    const groups = batch.map(({ group }) => group);
    const calls = groups.flat();
    const error = await this.#persist(calls, () => this.#send(groups));
    if (error === undefined) return;
    // One by one, so that only what is at fault fails. Calls that were written as one may be apart from here on.
    for (const call of calls) {
      const failure = calls.length === 1 && !this.#mustCheck(call, error) ? error : await this.#alone(call);
      if (failure !== undefined) this.#settled(call).reject(this.#failure(call, failure));
    }
  }

  async #alone(call: AppendCall): Promise<unknown> {
    for (;;) {
      const error = await this.#persist([call], () => this.#send([[call]]));
      if (error === undefined || !this.#mustCheck(call, error)) return error;
    }
  }

  /**
   * Sends again what a lost session, an absent server or a moved shard kept from happening.
   *
   * @returns the error that ended it, `undefined` when it was done
   */
  async #persist(calls: readonly AppendCall[], send: () => Promise<void>): Promise<unknown> {
    const backoff = new Backoff({ baseMs: 20, maxMs: 1_000 });
    for (;;) {
      const { mapEpoch } = this.#shards;
      try {
        if (this.#shards.closed) throw this.#shards.closedError();
        await send();
        return undefined;
      } catch (error) {
        const kind = failureKind(error);
        // A newer map may place the calls on several servers: apart they find their way.
        if (kind === 'moved' && calls.length === 1 && (await this.#isNewer(mapEpoch))) continue;
        if (kind === 'moved' || kind === 'final') return error;
        if (kind === 'lost') for (const call of calls) markLost(call);
        if (this.#isOver(calls)) return error;
        await sleep(backoff.next(), { signal: this.#shards.closing }).catch(() => {});
      }
    }
  }

  async #isNewer(epoch: bigint): Promise<boolean> {
    return this.#shards.isNewer(epoch).catch(() => false);
  }

  /** Sends appends of any number of shards of one server: all in one transaction, shards ascending. */
  async #send(groups: readonly AppendGroup[]): Promise<void> {
    const byShard = new Map<number, AppendGroup[]>();
    for (const group of groups) {
      const { shardId } = group[0]!;
      const same = byShard.get(shardId);
      if (same === undefined) byShard.set(shardId, [group]);
      else same.push(group);
    }
    const shards = [...byShard].sort(([a], [b]) => a - b);
    const statements = shards.map(([shardId, of]) => appendGroups(this.#shards.schema(shardId), of));
    const whole = statements.length > 1 ? [BEGIN, ...statements, COMMIT] : statements;
    const replies = await this.#shards.send('append', shards[0]![0], whole);
    const results = statements.length > 1 ? replies.slice(1, -1) : replies;
    for (const [index, [shardId, of]] of shards.entries()) {
      const outcomes = statements[index]!.outcomes(results[index]!);
      for (const [place, group] of of.entries()) {
        for (const call of group) this.#settled(call);
        settleAppend(group, outcomes[place]!);
      }
      if (outcomes.some(({ outcome }) => outcome === 'appended')) this.#onAppended(shardId);
    }
  }

  /** A unique index met an event id: one that should have been new is there already. */
  #mustCheck(call: AppendCall, error: unknown): boolean {
    if (call.checked || sqlStateOf(error) !== SQLSTATE.uniqueViolation) return false;
    call.checked = true;
    return true;
  }

  #isOver(calls: readonly AppendCall[]): boolean {
    const now = Date.now();
    for (const call of calls) if (call.retryUntil === 0) call.retryUntil = now + this.#shards.options.retryMs;
    return calls.some(({ retryUntil }) => now >= retryUntil);
  }

  #failure(call: AppendCall, error: unknown): unknown {
    if (!call.mayHaveHappened) return explained(error, call);
    if (sqlStateOf(error) !== undefined && failureKind(error) === 'final') return explained(error, call);
    return new OutcomeUnknownError(
      `the reply to an append to ${JSON.stringify(call.stream)} was lost, and the server did not come back in time; ` +
        'publish the same events again, with their ids: what was written is not written twice',
      { cause: error instanceof ClosedError ? undefined : error },
    );
  }

  #settled(call: AppendCall): AppendCall {
    this.#queued -= 1;
    return call;
  }
}

function markLost(call: AppendCall): void {
  call.checked = true;
  call.mayHaveHappened = true;
}
