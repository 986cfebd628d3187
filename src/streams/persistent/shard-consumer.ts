import { sleep } from '../../internal/sleep.ts';
import { SubscriptionFailedError } from '../errors.ts';
import type { LiveShards } from '../live-shards.ts';
import type { RunOptions, Shards } from '../shards.ts';
import type { Source } from '../stream-name.ts';
import type { Dealer } from './dealer.ts';
import { type Delivery, type DeliveryOwner, exceptionOf } from './delivery.ts';
import type { Beat, GroupSql } from './group-sql.ts';
import { Line } from './line.ts';
import { ReadAhead } from './read-ahead.ts';
import { RetryLine } from './retry-line.ts';
import type { ResolvedSettings } from './settings.ts';
import { Settlements, type Written } from './settlements.ts';
import { SliceReader } from './slice-reader.ts';
import { SliceSet } from './slice-set.ts';
import type { SliceState } from './slice-state.ts';

/** A consumer without a slice asks for one so often, in ms. */
const WANTING_MS = 250;

/**
 * One consumer of a group in one shard: owns slices, reads ahead in them, and writes down what is settled.
 *
 * Two loops: one gives signs of life and takes its share of the slices, the other one fills the buffer. Both go on
 * through lost sessions, restarts and failovers.
 */
export class ShardConsumer implements DeliveryOwner {
  readonly sql: GroupSql;
  readonly #source: Source;
  readonly #dealer: Dealer;
  readonly #reload: () => Promise<ResolvedSettings | undefined>;
  readonly #stop = new AbortController();
  readonly #forever: RunOptions = { signal: this.#stop.signal, until: Number.POSITIVE_INFINITY };
  readonly #slices: SliceSet;
  readonly #reader: SliceReader;
  readonly #retries: RetryLine;
  readonly #settlements: Settlements;
  readonly #ahead: ReadAhead;
  readonly #line: Line;
  readonly #unwatch: () => void;
  #settings: ResolvedSettings;
  #revision: bigint;
  #dirty = false;
  #wakeUp: (() => void) | undefined;
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
    this.#reload = reload;
    this.#settings = sql.group.settings;
    this.#revision = sql.group.revision;
    this.#ahead = new ReadAhead(this.#isOrdered);
    this.#slices = new SliceSet((slice) => this.#onLost(slice));
    this.#reader = new SliceReader(shards, sql, { source, slices: this.#slices, maxInFlight, options: this.#forever });
    this.#retries = new RetryLine(this, sql, (streamId) => this.#keyOf(streamId), shards.epoch);
    this.#settlements = new Settlements(
      sql,
      { until: Number.POSITIVE_INFINITY },
      {
        settings: () => this.#settings,
        slices: () => this.#slices,
        onWritten: (written) => this.#onWritten(written),
        onFailed: (error) => this.#dealer.failed(error),
      },
    );
    this.#line = new Line(this, shards, {
      isOrdered: this.#isOrdered,
      keyOf: (streamId) => this.#keyOf(streamId),
      retries: this.#retries,
      settlements: this.#settlements,
      ahead: this.#ahead,
      dealer,
      options: this.#forever,
    });
    this.#unwatch = live.watch(sql.shardId, () => this.#wake());
  }

  get settings(): ResolvedSettings {
    return this.#settings;
  }

  /** Takes what the first beat gave, and begins. */
  start(beat: Beat): void {
    const failed = (error: unknown): void => {
      if (!this.#stop.signal.aborted) this.#dealer.failed(error);
    };
    this.#work = Promise.all([this.#beatLoop(beat).catch(failed), this.#fillLoop().catch(failed)]);
  }

  /** An event of this consumer was dealt out. */
  dealt(): void {
    this.#ahead.dealt();
    if (this.#wantsMore) this.#wake();
  }

  /** Somebody waits for an event, and there is none. */
  asked(): void {
    if (this.#wantsMore) this.#wake();
  }

  /** Whether an event may be dealt out now: behind a crash one at a time, each written down before the next. */
  mayDeal({ slice }: Delivery): boolean {
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
    this.#settledOne(slice);
  }

  /** Settled within the transaction of its handler: only what is remembered here changes. */
  settledWithin(delivery: Delivery, savedTo: bigint | undefined): void {
    const { slice } = delivery;
    delivery.state = 'done';
    this.#settlements.acked();
    if (slice === undefined) {
      this.#retries.finished(delivery.key);
      return this.#wake();
    }
    if (savedTo !== undefined) slice.saved(savedTo);
    this.#settledOne(slice);
  }

  /** Tries an event again later; what follows in its stream waits behind it. */
  retry(delivery: Delivery, attempts: number, delayMs: number, reason: string): void {
    const { slice, key } = delivery;
    delivery.state = 'leaving';
    this.#settlements.retry(delivery, exceptionOf(delivery, { attempts, delayMs, reason }));
    if (this.#isOrdered) {
      if (slice !== undefined) this.#retries.blocked.add(key);
      for (const later of this.#withdraw((other) => other.key === key)) this.#line.keepBehind(later);
    }
    if (slice !== undefined) this.#settledOne(slice);
  }

  park(delivery: Delivery, attempts: number, reason: string): void {
    delivery.state = 'leaving';
    this.#settlements.park(delivery, exceptionOf(delivery, { attempts, delayMs: 0, reason }));
    if (delivery.slice !== undefined) this.#settledOne(delivery.slice);
  }

  /** Writes down what is settled. */
  flush(): Promise<void> {
    return this.#settlements.flush();
  }

  /** Stops reading, writes down what is settled, and gives everything back; waits for that up to `until`. */
  async close(until: number): Promise<void> {
    this.#unwatch();
    this.#stop.abort();
    this.#wakeUp?.();
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

  async #beatLoop(first: Beat): Promise<void> {
    for (let beat = first; ; ) {
      await this.#follow(beat);
      const { leaseMs } = this.#settings;
      const wanting = this.#isOrdered && this.#slices.size === 0;
      const pause = wanting ? Math.min(WANTING_MS, leaseMs / 3) : leaseMs / 3;
      await sleep(pause, { signal: this.#stop.signal });
      beat = await this.sql.beat(leaseMs, this.#forever);
      if (beat.status === 'ok') continue;
      const context = { stream: this.#source.name };
      throw beat.status === 'gone'
        ? new SubscriptionFailedError('the group was deleted', 'PersistentSubscriptionDeleted', context)
        : new SubscriptionFailedError('others have taken the last place', 'SubscriberMaxCountReached', context);
    }
  }

  /** Takes over what a beat says of slices, retries and settings. */
  async #follow({ slices, retryInMs, revision }: Beat): Promise<void> {
    if (this.#isOrdered) {
      const fresh = this.#slices.follow(slices);
      const { idle } = this.#settlements;
      if (fresh.length > 0) {
        // Nothing of a slice is dealt out before it is known which of its streams are held up.
        await this.#retries.load(
          fresh.map(({ slice }) => slice),
          this.#forever,
        );
        for (const slice of fresh) slice.readable = true;
        this.#wake();
      } else if (idle && (this.#retries.blocked.size > 0 || retryInMs !== undefined)) {
        await this.#retries.sync(this.#slices.numbers, this.#forever, () => this.#settlements.idle);
      }
      for (const slice of [...this.#slices]) {
        if (!slice.shed) continue;
        this.#withdraw((delivery) => delivery.slice === slice);
        this.#passed(slice);
      }
    }
    if (!this.#isOrdered) this.#giveBackIdle();
    if (retryInMs !== undefined) this.#expect(retryInMs);
    if (revision === this.#revision) return;
    this.#settings = (await this.#reload()) ?? this.#settings;
    this.#revision = revision;
  }

  get #wantsMore(): boolean {
    return this.#ahead.wantsMore(this.#settings, this.#reader.run, this.#dealer.asking);
  }

  /** Runs whose events nobody has asked for in a long time go to those who do. */
  #giveBackIdle(): void {
    if (!this.#ahead.isForgotten(this.#settings)) return;
    this.#withdraw((delivery) => delivery.slice !== undefined && delivery.owner === this);
    for (const slice of [...this.#slices]) {
      slice.shed = true;
      this.#passed(slice);
    }
  }

  async #fillLoop(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#dirty = false;
      if ((await this.#fill()) || this.#dirty || this.#stop.signal.aborted) continue;
      const wait = this.#retries.dueInMs;
      await new Promise<void>((resolve) => {
        const timer = wait === undefined ? undefined : setTimeout(resolve, Math.max(1, wait));
        this.#wakeUp = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wakeUp = undefined;
    }
  }

  /** @returns whether there may be more right away */
  async #fill(): Promise<boolean> {
    const { bufferSize, readBatchSize, leaseMs } = this.#settings;
    if (!this.#wantsMore) return false;
    const room = this.#ahead.room(this.#settings);
    const slices = this.#isOrdered ? this.#slices.numbers : null;
    if (this.#retries.dueInMs === 0 && slices?.length !== 0) {
      const { deliveries, gone } = await this.#retries.claim(slices, leaseMs, room, this.#forever);
      for (const event of gone) this.#settlements.finish({ ...event, state: 'leaving' });
      await this.#line.add(deliveries, true);
      if (deliveries.length > 0) return true;
    }
    // So many wait already that reading on would only add to them.
    if (this.#retries.blocked.total >= bufferSize) return false;
    const read = await this.#reader.read(Math.min(readBatchSize, room), this.#settings);
    if (read === undefined) return false;
    this.#ahead.hasRead();
    await this.#line.add(this.#line.deliveriesOf(read.events), false);
    read.done();
    if (read.events.length === 0 && read.more) this.#settlements.progressed();
    return read.more;
  }

  #withdraw(of: (delivery: Delivery) => boolean): Delivery[] {
    const withdrawn = this.#dealer.withdraw(of);
    this.#ahead.withdrawn(withdrawn.length);
    return withdrawn;
  }

  #onLost(slice: SliceState): void {
    this.#withdraw((delivery) => delivery.slice === slice);
    this.#dealer.forget(slice.lose());
    this.#wake();
  }

  #onWritten({ settlement, finished, lost }: Written): void {
    const termOf = new Map(settlement.slices.map(({ slice, term }) => [slice, term]));
    for (const number of lost) {
      const slice = this.#slices.get(number, termOf.get(number)!);
      if (slice !== undefined) this.#slices.lose(slice);
    }
    for (const { slice: number, term, position } of settlement.slices) {
      const slice = this.#slices.get(number, term);
      if (slice === undefined) continue;
      slice.saved(position);
      this.#passed(slice);
    }
    for (const { key } of finished) this.#retries.finished(key);
    for (const { delayMs } of settlement.retries) this.#expect(delayMs);
    this.#wakeUp?.();
    // Events that had to wait for this may be dealt out now.
    this.#dealer.ready([], false);
  }

  /** One event of a slice is settled: where care is needed it is written down before the next one is dealt out. */
  #settledOne(slice: SliceState): void {
    this.#ahead.settled();
    if (slice.careful > 0) {
      slice.careful -= 1;
      void this.#settlements.flush();
    }
    this.#passed(slice);
  }

  /** Something of a slice was settled or written: it may be through, or free to go to somebody else. */
  #passed(slice: SliceState): void {
    if (slice.lost || !(slice.isRead || slice.shed)) return;
    const through = slice.isRead && slice.savedTo >= slice.upto!;
    const free = slice.shed && slice.handed === 0 && slice.savedTo >= slice.settledTo(true);
    if (slice.shed && slice.handed === 0 && !free) {
      // Only its position keeps it here, and nothing else may ever come that has it written.
      slice.touched = true;
      this.#settlements.progressed();
    }
    if (!through && !free) return;
    this.#slices.drop(slice);
    if (!through) this.sql.release([slice.slice], false, this.#forever).catch(() => {});
    this.#wakeUp?.();
  }

  #expect(ms: number): void {
    this.#retries.expect(ms);
    this.#wakeUp?.();
  }

  #wake(): void {
    this.#dirty = true;
    this.#wakeUp?.();
  }

  /** A single stream is one key, whatever its id. */
  #keyOf(streamId: string): string {
    return this.#source.kind === 'stream' ? '' : streamId;
  }
}
