import type { Row } from '../lane.ts';
import type { Position } from '../position.ts';
import type { EventRow } from '../recorded-event.ts';
import type { RunOptions, Shards } from '../shards.ts';
import type { ResolvedSettings } from './settings.ts';

const IDLE = 'idle_in_transaction_session_timeout';

/** A group in one shard. */
export interface GroupRecord {
  readonly id: string;
  readonly strategy: 'ordered' | 'roundRobin';
  readonly slices: number;
  readonly settings: ResolvedSettings;
  /** Where it was made to begin in each shard, of a category or `$all`. */
  readonly starts: Position | undefined;
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
  /** `performance.now()` when it was sent: leases last from then on, at the least. */
  readonly sentAt: number;
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
  #repeated = 0;

  constructor(shards: Shards, shardId: number, group: GroupRecord, consumer: string, label: string) {
    this.#shards = shards;
    this.shardId = shardId;
    this.group = group;
    this.consumer = consumer;
    this.#label = label;
  }

  /** Calls that had to be sent again: the server may have done what nobody here has heard of. */
  get repeated(): number {
    return this.#repeated;
  }

  async beat(leaseMs: number, options: RunOptions): Promise<Beat> {
    let sentAt = 0;
    const rows = await this.#call(
      'status, revision, retry_in_ms, slice, pos, done, upto, term, crashes, shed',
      'hv_beat($1, $2, $3, $4)',
      [this.group.id, this.consumer, this.#label, leaseMs],
      options,
      () => {
        sentAt = performance.now();
      },
    );
    const [status, revision, retryIn] = rows[0]!;
    return {
      status: status as Beat['status'],
      revision: BigInt(revision!),
      retryInMs: retryIn === null || retryIn === undefined ? undefined : Number(retryIn),
      slices: rows.filter((row) => row[3] !== null).map((row) => leaseOf(row.slice(3))),
      sentAt,
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

  /** Positions of the events waiting for a retry that are this consumer's. */
  async held(options: RunOptions): Promise<bigint[]> {
    const text = `select position from ${this.#schema}.hv_retries where group_id = $1 and owner = $2`;
    const values = [this.group.id, this.consumer];
    const rows = await this.#shards.query('group', this.shardId, { text, values }, options);
    return rows.map(([position]) => BigInt(position!));
  }

  /** Leaves events waiting for a retry to whoever asks next. */
  async disown(positions: readonly bigint[], options: RunOptions): Promise<void> {
    const text = `update ${this.#schema}.hv_retries set owner = null, expires_at = null where group_id = $1 and owner = $2 and position = any($3)`;
    const values = [this.group.id, this.consumer, positions];
    await this.#shards.query('group', this.shardId, { text, values }, options);
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

  /**
   * What became of an event that was settled inside a transaction (`xid`) whose outcome is not known; waits for that
   * transaction to end.
   */
  async outcomeOf(
    xid: string,
    slice: number | undefined,
    position: bigint,
    options: RunOptions,
  ): Promise<'open' | 'settled' | 'settledElsewhere'> {
    const row =
      slice === undefined
        ? `select true as open from ${this.#schema}.hv_retries where group_id = $1 and position = $2 for update`
        : `select position < $2 and $2 <> all (done) as open from ${this.#schema}.hv_slices where group_id = $1 and slice = $4 for update`;
    // A server that was promoted meanwhile may not have come to that transaction yet.
    const status = 'case when $3::xid8 < pg_snapshot_xmax(pg_current_snapshot()) then pg_xact_status($3::xid8) end';
    const text = `select coalesce(r.open, false), ${status} from (values (1)) one left join lateral (${row}) r on true`;
    const values = [this.group.id, position, xid, ...(slice === undefined ? [] : [slice])];
    const [found] = await this.#shards.query('group', this.shardId, { text, values }, options);
    if (found![0] === 't') return 'open';
    return found![1] === 'committed' ? 'settled' : 'settledElsewhere';
  }

  /**
   * Text and values that settle one event inside the transaction of its handler, and give that transaction's id. The slice
   * is locked from here to the commit: a process that is paused in between is thrown out by the server, unless its
   * session has a bound for that already.
   */
  settleWithin(
    slice: number | null,
    term: bigint,
    position: bigint,
    settledTo: bigint | null,
    leaseMs: number,
  ): { text: string; values: unknown[] } {
    return {
      text: `select ${this.#schema}.hv_settle_within($1, $2, $3, $4, $5, $6), pg_current_xact_id()::text as xid, case when current_setting('${IDLE}') = '0' then set_config('${IDLE}', $7, true) end`,
      values: [this.group.id, this.consumer, slice, term, position, settledTo, `${leaseMs}ms`],
    };
  }

  get #schema(): string {
    return this.#shards.schema(this.shardId);
  }

  #call(
    columns: string,
    call: string,
    values: unknown[],
    options: RunOptions,
    onSend: () => void = () => {},
  ): Promise<Row[]> {
    const statement = { text: `select ${columns} from ${this.#schema}.${call}`, values };
    let sent = false;
    return this.#shards.persist(async () => {
      if (sent) this.#repeated += 1;
      sent = true;
      onSend();
      return (await this.#shards.send('group', this.shardId, [statement]))[0]!;
    }, options);
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
