import type { Cursor } from '../core/index.ts';
import { type AppendCall, type AppendOutcome, refusal, settleAppend, type WriteResult } from './append-call.ts';
import { AppendQueue } from './append-queue.ts';
import { appendOne } from './append-statement.ts';
import { BadRequestError } from './errors.ts';
import { type ExpectedVersion, expectedCode } from './expected-version.ts';
import { explained } from './failure.ts';
import type { LiveShards } from './live-shards.ts';
import { type EncodedEvent, encodeEvent, NewEvent } from './new-event.ts';
import { isAsyncIterable, publishMany } from './publish-many.ts';
import type { Shards } from './shards.ts';

/** What an append may be asked for. */
export interface PublishOptions {
  /** @default 'any' */
  readonly expectedVersion?: ExpectedVersion | undefined;
  /** A transaction on the stream's shard in which the append takes part: it is there when that commits (outbox). */
  readonly transaction?: Cursor | undefined;
  /** The shard to put the stream in, instead of the one its name says; the same with every call. */
  readonly shardId?: number | undefined;
  /** Your own id of the operation; errors carry it. */
  readonly correlationId?: string | undefined;
}

/** What writing from an async iterable may be told. */
export interface PublishManyOptions extends PublishOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Writes to streams. */
export class Publisher {
  readonly #shards: Shards;
  readonly #live: LiveShards;
  readonly #queues = new Map<string, AppendQueue>();

  constructor(shards: Shards, live: LiveShards) {
    this.#shards = shards;
    this.#live = live;
  }

  /** Appends a list, all or none, or what an async iterable gives, chunk by chunk. */
  async publish(
    stream: string,
    shardId: number,
    events: readonly NewEvent[] | AsyncIterable<NewEvent>,
    options: PublishManyOptions,
  ): Promise<WriteResult | undefined> {
    if (Array.isArray(events)) return this.append(stream, shardId, events, options);
    if (!isAsyncIterable(events)) throw new BadRequestError('publish: give a list of events, or an async iterable');
    return publishMany(events, {
      maxChunk: this.#shards.options.maxAppendEvents,
      expected: options.expectedVersion,
      signal: options.signal,
      write: (chunk, expectedVersion) => this.append(stream, shardId, chunk, { ...options, expectedVersion }),
    });
  }

  /** Appends events to one stream, all or none. */
  append(
    stream: string,
    shardId: number,
    events: readonly NewEvent[],
    { expectedVersion, transaction, correlationId }: PublishOptions,
  ): Promise<WriteResult> {
    const encoded = this.#encode(events);
    const expected = expectedCode(expectedVersion);
    if (transaction !== undefined)
      return this.#appendWithin(transaction, stream, shardId, encoded, expected, correlationId);
    return new Promise((resolve, reject) => {
      let bytes = 0;
      for (const { size } of encoded) bytes += size;
      this.#queueOf(shardId).add({
        shardId,
        stream,
        expected,
        events: encoded,
        bytes,
        correlationId,
        checked: encoded.some(({ idGiven }) => idGiven),
        mayHaveHappened: false,
        retryUntil: 0,
        resolve,
        reject,
      });
    });
  }

  get queued(): number {
    let queued = 0;
    for (const queue of this.#queues.values()) queued += queue.queued;
    return queued;
  }

  close(): void {
    for (const queue of this.#queues.values()) queue.close();
  }

  #encode(events: readonly NewEvent[]): EncodedEvent[] {
    if (!Array.isArray(events) || events.length === 0)
      throw new BadRequestError('publish: the list of events is empty');
    const { maxEventBytes } = this.#shards.options;
    const encoded = events.map((event) => {
      if (event instanceof NewEvent) return encodeEvent(event, maxEventBytes);
      throw new BadRequestError('publish: an event is no NewEvent; make it with new NewEvent(type, { body })');
    });
    if (encoded.length > 1 && new Set(encoded.map(({ id }) => id)).size < encoded.length) {
      throw new BadRequestError('publish: two events of one append have the same id');
    }
    return encoded;
  }

  #queueOf(shardId: number): AppendQueue {
    const server = this.#shards.serverOf(shardId);
    let queue = this.#queues.get(server);
    if (queue === undefined) {
      queue = new AppendQueue(this.#shards, (appended) => this.#live.sequencer(appended).nudge());
      this.#queues.set(server, queue);
    }
    return queue;
  }

  async #appendWithin(
    cursor: Cursor,
    stream: string,
    shardId: number,
    events: readonly EncodedEvent[],
    expected: bigint,
    correlationId: string | undefined,
  ): Promise<WriteResult> {
    if (cursor.shardId !== shardId) {
      throw new BadRequestError(
        `transaction: it runs on shard ${cursor.shardId}, and ${JSON.stringify(stream)} lives in shard ${shardId}`,
        { stream, correlationId },
      );
    }
    const checked = events.some(({ idGiven }) => idGiven);
    const { text, values } = appendOne(this.#shards.schema(shardId), stream, expected, checked, events);
    const { rows } = await cursor
      .query<{ outcome: string; first: string | null; actual: string }>(text, values)
      .catch((error: unknown) => {
        throw explained(error, { stream, correlationId });
      });
    const { outcome, first, actual } = rows[0]!;
    const result: AppendOutcome = {
      outcome,
      first: first === null ? undefined : BigInt(first),
      actual: BigInt(actual),
    };
    this.#passLater(shardId);
    return new Promise((resolve, reject) => {
      const call = { shardId, stream, expected, events, correlationId, resolve, reject } as AppendCall;
      if (outcome === 'appended' || outcome === 'repeated') settleAppend([call], result);
      else reject(refusal(call, result));
    });
  }

  /** The transaction commits some time after this call: look then; whoever follows the shard looks in any case. */
  #passLater(shardId: number): void {
    for (const ms of [5, 25, 100]) {
      setTimeout(() => this.#live.sequencer(shardId).nudge(), ms).unref();
    }
  }
}
