import type { Client } from 'pg';
import { withinLimit } from '../internal/endpoint/waiting.ts';
import { isConnectionLoss } from '../internal/sqlstate.ts';
import { CALLER_PRIORITY, type ClientPool, LANE_PRIORITY } from './client-pool.ts';
import { Lane } from './lane.ts';
import type { LaneKind, LaneWatch } from './lane-watch.ts';
import type { Observer } from './observe.ts';
import { bringHome } from './session.ts';

/** How long an idle lane keeps its client before the pool gets it back. */
const IDLE_MS = 1_000;

/**
 * Holds the one lane of a gatherer: takes its client from the pool when there is work, replaces a lane that is lost or
 * stalled, and gives the client back when the lane is idle – for a while, or while somebody waits for a client – or when
 * callers wait and lanes hold every client there is.
 */
export class LaneHolder {
  readonly #pool: ClientPool;
  readonly #watch: LaneWatch;
  readonly #kind: LaneKind;
  readonly #prepare: boolean;
  readonly #observer: Observer;
  readonly #requestTimeoutMs: number;
  /** Batches under way, also on lanes that were replaced and still drain. */
  readonly #batches = new Map<Lane, number>();
  #lane: Lane | undefined;
  /** The last lane was given up for callers who wait: the next one queues behind them. */
  #yielded = false;
  /** Since it was opened the lane has carried a batch. One given up before that would starve those who wait behind it. */
  #used = false;
  #idle: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(
    pool: ClientPool,
    watch: LaneWatch,
    {
      kind,
      prepare,
      observer,
      requestTimeoutMs,
    }: { kind: LaneKind; prepare: boolean; observer: Observer; requestTimeoutMs: number },
  ) {
    this.#pool = pool;
    this.#watch = watch;
    this.#kind = kind;
    this.#prepare = prepare;
    this.#observer = observer;
    this.#requestTimeoutMs = requestTimeoutMs;
    pool.onScarce(() => {
      if (this.#used) this.release();
    });
  }

  /** The lane to send on, when there is a usable one. */
  current(): Lane | undefined {
    const lane = this.#lane;
    if (lane === undefined) return undefined;
    this.#yielded = lane.usable && this.#used && this.#pool.lanesStarveCallers;
    if (lane.usable && !this.#yielded) return lane;
    this.#lane = undefined;
    if (!this.#batches.has(lane)) this.#giveBack(lane);
    return undefined;
  }

  /** Takes a client from the pool; afterwards `current()` has a lane. */
  async open(): Promise<void> {
    const client = await this.#acquire();
    const lane = new Lane(client, {
      prepare: this.#prepare,
      observer: this.#observer,
      onServed: (serviceMs) => this.#watch.served(serviceMs),
    });
    this.#lane = lane;
    this.#used = false;
    this.#pool.countLane(1);
    this.#watch.opened(lane, this.#kind);
  }

  /** A batch was sent on the lane. */
  busy(lane: Lane): void {
    this.#batches.set(lane, (this.#batches.get(lane) ?? 0) + 1);
    this.#used = true;
    clearTimeout(this.#idle);
  }

  /** A batch on the lane is answered. */
  finished(lane: Lane): void {
    const left = (this.#batches.get(lane) ?? 1) - 1;
    if (left > 0) return void this.#batches.set(lane, left);
    this.#batches.delete(lane);
    if (lane !== this.#lane) return this.#giveBack(lane);
    this.#yielded = this.#pool.lanesStarveCallers;
    if (!lane.usable || this.#closed || this.#yielded) {
      this.#lane = undefined;
      return this.#giveBack(lane);
    }
    this.#idle = setTimeout(() => this.release(), IDLE_MS).unref();
  }

  /** Gives the client back as soon as what is on its way is answered. */
  close(): void {
    this.#closed = true;
    this.release();
  }

  /** Gives an idle lane's client back to the pool. */
  release(): void {
    const lane = this.#lane;
    if (lane === undefined || this.#batches.has(lane)) return;
    clearTimeout(this.#idle);
    this.#lane = undefined;
    this.#giveBack(lane);
  }

  /** A client that turns out to be lost costs nobody a call: another one is taken. */
  async #acquire(): Promise<Client> {
    for (;;) {
      const client = await this.#pool.acquire({ priority: this.#yielded ? CALLER_PRIORITY : LANE_PRIORITY });
      try {
        await withinLimit(client, this.#requestTimeoutMs, () => bringHome(client));
        return client;
      } catch (error) {
        await this.#pool.discard(client);
        if (!isConnectionLoss(error)) throw error;
      }
    }
  }

  #giveBack(lane: Lane): void {
    this.#watch.gone(lane);
    this.#pool.countLane(-1);
    void (lane.usable ? this.#pool.release(lane.leave()) : this.#pool.discard(lane.client));
  }
}
