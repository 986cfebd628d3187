import { sleep } from '../../internal/sleep.ts';
import type { LiveShards } from '../live-shards.ts';
import type { RunOptions, Shards } from '../shards.ts';
import type { Source } from '../stream-name.ts';
import type { Dealer } from './dealer.ts';
import { type Delivery, type DeliveryOwner, exceptionOf } from './delivery.ts';
import { Filler } from './filler.ts';
import type { Beat, GroupSql } from './group-sql.ts';
import { Heartbeat } from './heartbeat.ts';
import { HeldRetries } from './held-retries.ts';
import { Line } from './line.ts';
import { ReadAhead } from './read-ahead.ts';
import { RetryLine } from './retry-line.ts';
import type { ResolvedSettings } from './settings.ts';
import { Settlements, type Written } from './settlements.ts';
import { SliceKeeper } from './slice-keeper.ts';
import { SliceReader } from './slice-reader.ts';
import { SliceSet } from './slice-set.ts';

/**
 * One consumer of a group in one shard: owns slices, reads ahead in them, and writes down what is settled.
 *
 * Two loops: one gives signs of life and takes its share of the slices ({@link Heartbeat}), the other one keeps events in
 * line ({@link Filler}). Both go on through lost sessions, restarts and failovers.
 *
 * ```
 * Heartbeat ──► SliceSet ──► SliceReader ─┐
 *     └───────► RetryLine ────────────────┴─ Filler ──► Line ──► Dealer
 *               SliceKeeper ◄── Settlements ◄── settled, retry, park ─┘
 * ```
 */
export class ShardConsumer implements DeliveryOwner {
  readonly sql: GroupSql;
  readonly #source: Source;
  readonly #dealer: Dealer;
  readonly #stop = new AbortController();
  readonly #forever: RunOptions = { signal: this.#stop.signal, until: Number.POSITIVE_INFINITY };
  readonly #heartbeat: Heartbeat;
  readonly #keeper: SliceKeeper;
  readonly #filler: Filler;
  readonly #retries: RetryLine;
  readonly #held: HeldRetries;
  readonly #settlements: Settlements;
  readonly #ahead: ReadAhead;
  readonly #line: Line;
  readonly #unwatch: () => void;
  #work: Promise<unknown> = Promise.resolve();

  constructor(
    shards: Shards,
    live: LiveShards,
    sql: GroupSql,
    {
      source,
      dealer,
      maxInFlight,
      reload,
    }: { source: Source; dealer: Dealer; maxInFlight: number; reload: () => Promise<ResolvedSettings | undefined> },
  ) {
    this.sql = sql;
    this.#source = source;
    this.#dealer = dealer;
    const isOrdered = this.#isOrdered;
    const options = this.#forever;
    const settings = (): ResolvedSettings => this.settings;
    const keyOf = (streamId: string): string => this.#keyOf(streamId);
    const ahead = new ReadAhead(isOrdered);
    const slices = new SliceSet((slice) => {
      this.#keeper.lost(slice);
      this.#filler.wake();
    });
    this.#heartbeat = new Heartbeat(sql, {
      source: source.name,
      isWanting: () => isOrdered && slices.size === 0,
      beforeBeat: () => this.#keeper.beforeBeat(),
      onBeat: (beat, late) => this.#onBeat(beat, late),
      onConfirmed: () => dealer.ready([], false),
      reload,
    });
    const reader = new SliceReader(shards, sql, { source, slices, maxInFlight, options });
    const held = new HeldRetries(sql);
    const retries = new RetryLine(this, sql, keyOf, shards.epoch);
    const settlements = new Settlements(
      sql,
      { until: Number.POSITIVE_INFINITY },
      {
        settings,
        slices: () => slices,
        onWritten: (written) => this.#onWritten(written),
        onFailed: (error) => dealer.failed(error),
      },
    );
    const line = new Line(this, shards, { isOrdered, keyOf, retries, held, settlements, ahead, dealer, options });
    this.#keeper = new SliceKeeper(sql, {
      isOrdered,
      settings,
      slices,
      retries,
      settlements,
      line,
      ahead,
      dealer,
      cuts: () => reader.cuts,
      onFresh: () => this.#filler.wake(),
      onGone: () => this.#filler.rouse(),
      options,
    });
    this.#filler = new Filler({
      isOrdered,
      settings,
      slices,
      reader,
      retries,
      held,
      settlements,
      line,
      ahead,
      dealer,
      options,
    });
    this.#retries = retries;
    this.#held = held;
    this.#settlements = settlements;
    this.#ahead = ahead;
    this.#line = line;
    this.#unwatch = live.watch(sql.shardId, () => this.#filler.wake());
  }

  get settings(): ResolvedSettings {
    return this.#heartbeat.settings;
  }

  /** Takes what the first beat gave, and begins. */
  start(beat: Beat): void {
    const failed = (error: unknown): void => {
      if (!this.#stop.signal.aborted) this.#dealer.failed(error);
    };
    this.#work = Promise.all([
      this.#heartbeat.run(beat, this.#forever).catch(failed),
      this.#filler.run(this.#stop.signal).catch(failed),
    ]);
  }

  /** An event of this consumer was dealt out. */
  dealt(): void {
    this.#ahead.dealt();
    this.#filler.wakeIfWanted();
  }

  /** Somebody waits for an event, and there is none. */
  asked(): void {
    this.#filler.wakeIfWanted();
  }

  /** Resolves when it is known what is still this consumer's: at once, but for one that was away for longer than its lease. */
  confirmed(): Promise<void> {
    return this.#heartbeat.confirmed();
  }

  get isConfirmed(): boolean {
    return this.#heartbeat.isValid;
  }

  /**
   * Whether an event may be dealt out now: while it is known to be this consumer's; behind a crash one at a time, each
   * written down before the next.
   */
  mayDeal({ slice }: Delivery): boolean {
    if (!this.#heartbeat.isValid) return false;
    if (slice === undefined || slice.careful === 0) return true;
    return slice.handed === 0 && slice.savedTo >= slice.settledTo(true);
  }

  settled(delivery: Delivery): void {
    const { slice } = delivery;
    if (slice === undefined) {
      delivery.state = 'leaving';
      return this.#settlements.finish(delivery);
    }
    delivery.state = 'acked';
    this.#settlements.acked();
    this.#keeper.settled(slice);
  }

  /** Settled within the transaction of its handler: only what is remembered here changes. */
  settledWithin(delivery: Delivery, savedTo: bigint | undefined): void {
    const { slice } = delivery;
    delivery.state = 'done';
    this.#settlements.acked();
    if (slice === undefined) {
      this.#retries.finished(delivery.key);
      return this.#filler.wake();
    }
    if (savedTo !== undefined) slice.saved(savedTo);
    this.#keeper.settled(slice);
  }

  /** Tries an event again later; what follows in its stream waits behind it. */
  retry(delivery: Delivery, attempts: number, delayMs: number, reason: string): void {
    const { slice, key } = delivery;
    delivery.state = 'leaving';
    this.#settlements.retry(delivery, exceptionOf(delivery, { attempts, delayMs, reason }));
    if (this.#isOrdered) {
      if (slice !== undefined) this.#retries.blocked.add(key);
      for (const later of this.#line.withdraw((other) => other.key === key)) this.#line.keepBehind(later);
    }
    if (slice !== undefined) this.#keeper.settled(slice);
  }

  park(delivery: Delivery, attempts: number, reason: string): void {
    delivery.state = 'leaving';
    this.#settlements.park(delivery, exceptionOf(delivery, { attempts, delayMs: 0, reason }));
    if (delivery.slice !== undefined) this.#keeper.settled(delivery.slice);
  }

  /** Writes down what is settled. */
  flush(): Promise<void> {
    return this.#settlements.flush();
  }

  /** Stops reading, writes down what is settled, and gives everything back; waits for that up to `until`. */
  async close(until: number): Promise<void> {
    this.#unwatch();
    this.#stop.abort();
    this.#filler.rouse();
    await this.#work;
    this.#settlements.stop();
    const leave = async (): Promise<void> => {
      await this.#settlements.flush();
      await this.sql.release([], true, { until });
    };
    // What the shard can't be told in time, the end of the lease will tell.
    await Promise.race([leave().catch(() => {}), sleep(Math.max(0, until - Date.now()), { unref: true })]);
  }

  get #isOrdered(): boolean {
    return this.sql.group.strategy === 'ordered';
  }

  /** Takes over what a beat says of slices and retries. */
  async #onBeat(beat: Beat, late: boolean): Promise<void> {
    await this.#keeper.follow(beat);
    await this.#held.takeStock(late, this.#line, this.#dealer, this.#forever);
    if (beat.retryInMs !== undefined) this.#expect(beat.retryInMs);
  }

  #onWritten(written: Written): void {
    this.#keeper.written(written);
    for (const { key } of written.finished) this.#retries.finished(key);
    for (const { delayMs } of written.settlement.retries) this.#expect(delayMs);
    this.#filler.rouse();
    // Events that had to wait for this may be dealt out now.
    this.#dealer.ready([], false);
  }

  #expect(ms: number): void {
    this.#retries.expect(ms);
    this.#filler.rouse();
  }

  /** A single stream is one key, whatever its id. */
  #keyOf(streamId: string): string {
    return this.#source.kind === 'stream' ? '' : streamId;
  }
}
