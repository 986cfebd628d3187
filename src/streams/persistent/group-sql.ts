import type { Row } from '../lane.ts';
import type { EventRow } from '../recorded-event.ts';
import type { RunOptions, Shards } from '../shards.ts';
import type { ResolvedSettings } from './settings.ts';

/** A group in one shard. */
export interface GroupRecord {
  readonly id: string;
  readonly strategy: 'ordered' | 'roundRobin';
  readonly slices: number;
  readonly settings: ResolvedSettings;
  readonly revision: bigint;
}

/** A slice that this consumer owns, as the shard has it. */
export interface SliceLease {
  readonly slice: number;
  /** Everything up to here is settled … */
  readonly position: bigint;
  /** … and these of what follows. */
  readonly done: readonly bigint[];
  readonly upto: bigint | undefined;
  readonly term: bigint;
  /** How often in a row a consumer died near this position. */
  readonly crashes: number;
  /** Above this consumer's share: to be given back. */
  readonly shed: boolean;
}

export interface Beat {
  readonly status: 'ok' | 'gone' | 'full';
  readonly revision: bigint;
  /** When the next event waiting for a retry is due. */
  readonly retryInMs: number | undefined;
  readonly slices: readonly SliceLease[];
}

/** An event that waited for a retry and is this consumer's now. */
export interface Claim {
  readonly position: bigint;
  readonly slice: number | undefined;
  readonly eventId: string;
  readonly streamId: string;
  readonly attempts: number;
}

/** An event that is tried again, kept behind another one, or parked. `slice` null: it waited for a retry before. */
export interface Exception {
  readonly slice: number | null;
  readonly position: bigint;
  readonly eventId: string;
  readonly attempts: number;
  readonly delayMs: number;
  readonly reason: string | null;
}

export interface Settlement {
  readonly slices: readonly { readonly slice: number; readonly term: bigint; readonly position: bigint }[];
  readonly retries: readonly Exception[];
  readonly parks: readonly Exception[];
  readonly finished: readonly bigint[];
  readonly count: number;
}

/** The functions of one group in one shard, as one consumer calls them. Every call may be repeated. */
export class GroupSql {
  readonly shardId: number;
  readonly group: GroupRecord;
  readonly consumer: string;
  readonly #shards: Shards;
  readonly #label: string;

  constructor(shards: Shards, shardId: number, group: GroupRecord, consumer: string, label: string) {
    this.#shards = shards;
    this.shardId = shardId;
    this.group = group;
    this.consumer = consumer;
    this.#label = label;
  }

  async beat(leaseMs: number, options: RunOptions): Promise<Beat> {
    const rows = await this.#call(
      'status, revision, retry_in_ms, slice, pos, done, upto, term, crashes, shed',
      'hv_beat($1, $2, $3, $4)',
      [this.group.id, this.consumer, this.#label, leaseMs],
      options,
    );
    const [status, revision, retryIn] = rows[0]!;
    return {
      status: status as Beat['status'],
      revision: BigInt(revision!),
      retryInMs: retryIn === null || retryIn === undefined ? undefined : Number(retryIn),
      slices: rows.filter((row) => row[3] !== null).map((row) => leaseOf(row.slice(3))),
    };
  }

  /** roundRobin: the next run of positions; `undefined` when there is nothing. */
  async cut(leaseMs: number, length: number, options: RunOptions): Promise<SliceLease | undefined> {
    const rows = await this.#call(
      'slice, pos, done, upto, term, crashes',
      'hv_cut($1, $2, $3, $4)',
      [this.group.id, this.consumer, leaseMs, length],
      options,
    );
    return rows[0] && leaseOf(rows[0]);
  }

  /** @returns the slices that are no longer this consumer's */
  async settle({ slices, retries, parks, finished, count }: Settlement, options: RunOptions): Promise<number[]> {
    const text = `select unnest(${this.#schema}.hv_settle($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18))`;
    const values = [
      this.group.id,
      this.consumer,
      slices.map(({ slice }) => slice),
      slices.map(({ term }) => term),
      slices.map(({ position }) => position),
      retries.map(({ slice }) => slice),
      retries.map(({ position }) => position),
      retries.map(({ eventId }) => eventId),
      retries.map(({ attempts }) => attempts),
      retries.map(({ delayMs }) => delayMs),
      retries.map(({ reason }) => reason),
      parks.map(({ slice }) => slice),
      parks.map(({ position }) => position),
      parks.map(({ eventId }) => eventId),
      parks.map(({ attempts }) => attempts),
      parks.map(({ reason }) => reason),
      finished,
      count,
    ];
    const rows = await this.#shards.query('group', this.shardId, { text, values }, options);
    return rows.map(([slice]) => Number(slice));
  }

  /** Takes what is due for another try. */
  async claim(slices: readonly number[] | null, leaseMs: number, max: number, options: RunOptions): Promise<Claim[]> {
    const rows = await this.#call(
      'pos, slice, event, stream, attempts',
      'hv_claim($1, $2, $3, $4, $5)',
      [this.group.id, this.consumer, slices, leaseMs, max],
      options,
    );
    return rows.map(([position, slice, eventId, streamId, attempts]) => ({
      position: BigInt(position!),
      slice: slice === null ? undefined : Number(slice),
      eventId: eventId!,
      streamId: streamId!,
      attempts: Number(attempts),
    }));
  }

  /** The streams of these slices that have events waiting for a retry, and how many. */
  async waiting(slices: readonly number[], options: RunOptions): Promise<[streamId: string, count: number][]> {
    const text = `select stream, count(*) from ${this.#schema}.hv_retries where group_id = $1 and slice = any($2) group by stream`;
    const rows = await this.#shards.query('group', this.shardId, { text, values: [this.group.id, slices] }, options);
    return rows.map(([streamId, count]) => [streamId!, Number(count)]);
  }

  async events(ids: readonly string[], options: RunOptions): Promise<EventRow[]> {
    const rows = await this.#call(
      'stream, number, id, uuid, type, body, bytes, metadata',
      'hv_read_events($1)',
      [ids],
      options,
    );
    return rows.map(([stream, number, id, uuid, type, body, bytes, metadata]) => ({
      stream: stream!,
      number: BigInt(number!),
      id: id!,
      uuid: uuid!,
      type: type!,
      body: body!,
      bytes: bytes!,
      metadata: metadata!,
    }));
  }

  async release(slices: readonly number[], leave: boolean, options: RunOptions): Promise<void> {
    await this.#call('1', 'hv_release($1, $2, $3, $4)', [this.group.id, this.consumer, slices, leave], options);
  }

  /** Whether an event was settled inside a transaction whose outcome is not known; waits for that transaction to end. */
  async wasSettled(slice: number | undefined, position: bigint, options: RunOptions): Promise<boolean> {
    const text =
      slice === undefined
        ? `select 1 from ${this.#schema}.hv_retries where group_id = $1 and position = $2 for update`
        : `select 1 from (select position, done from ${this.#schema}.hv_slices where group_id = $1 and slice = $3 for update) s where s.position < $2 and $2 <> all (s.done)`;
    const values = slice === undefined ? [this.group.id, position] : [this.group.id, position, slice];
    const rows = await this.#shards.query('group', this.shardId, { text, values }, options);
    return rows.length === 0;
  }

  /** Text and values that settle one event inside the transaction of its handler. */
  settleWithin(
    slice: number | null,
    term: bigint,
    position: bigint,
    settledTo: bigint | null,
  ): { text: string; values: unknown[] } {
    return {
      text: `select ${this.#schema}.hv_settle_within($1, $2, $3, $4, $5, $6)`,
      values: [this.group.id, this.consumer, slice, term, position, settledTo],
    };
  }

  get #schema(): string {
    return this.#shards.schema(this.shardId);
  }

  #call(columns: string, call: string, values: unknown[], options: RunOptions): Promise<Row[]> {
    const text = `select ${columns} from ${this.#schema}.${call}`;
    return this.#shards.query('group', this.shardId, { text, values }, options);
  }
}

function leaseOf([slice, position, done, upto, term, crashes, shed]: Row): SliceLease {
  return {
    slice: Number(slice),
    position: BigInt(position!),
    done: done === '{}' ? [] : done!.slice(1, -1).split(',').map(BigInt),
    upto: upto === null || upto === undefined ? undefined : BigInt(upto),
    term: BigInt(term!),
    crashes: Number(crashes),
    shed: shed === 't',
  };
}
