import { performance } from 'node:perf_hooks';
import type { Lane, LaneStatement } from './lane.ts';

const TICK_MS = 5;
/** A tick later than this says that our own event loop was busy, not the server. */
const LATE_MS = 5;
/** A head statement older than this, and than 10 × the usual, stalls its lane. */
const LEAST_STALL_MS = 25;
const STALL_FACTOR = 10;
/** A shard counts as slow until this long after it was last seen so. */
const SLOW_FOR_MS = 1_000;

/** What a lane carries: reads of all shards, reads of shards that are slow, or writes. */
export type LaneKind = 'shared' | 'apart' | 'writes';

/**
 * Watches the lanes of one server, so that one slow shard does not slow its neighbours: a lane whose head statement
 * takes far longer than usual gets no more work and is replaced, and the calls of that shard travel over a lane of
 * their own until it answers quickly again. A statement older than the request time-out has its session cut.
 */
export class LaneWatch {
  readonly #requestTimeoutMs: number;
  readonly #lanes = new Map<Lane, LaneKind>();
  readonly #slowUntil = new Map<number, number>();
  /** Statements that were too old at the last tick already. */
  #overdue = new Set<LaneStatement>();
  #usualMs = 1;
  #timer: NodeJS.Timeout | undefined;
  #lastTick = 0;

  constructor({ requestTimeoutMs }: { requestTimeoutMs: number }) {
    this.#requestTimeoutMs = requestTimeoutMs;
  }

  /** Whether the shard's calls should travel apart. */
  isSlow(shardId: number): boolean {
    if (this.#slowUntil.size === 0) return false;
    const until = this.#slowUntil.get(shardId);
    if (until === undefined) return false;
    if (until > performance.now()) return true;
    this.#slowUntil.delete(shardId);
    return false;
  }

  get slowShards(): number[] {
    return [...this.#slowUntil.keys()].filter((shardId) => this.isSlow(shardId));
  }

  opened(lane: Lane, kind: LaneKind): void {
    this.#lanes.set(lane, kind);
    if (this.#timer === undefined) {
      this.#lastTick = performance.now();
      this.#timer = setInterval(() => this.#tick(), TICK_MS).unref();
    }
  }

  gone(lane: Lane): void {
    this.#lanes.delete(lane);
    if (this.#lanes.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  served(serviceMs: number): void {
    // A moving average that one outlier can't carry away.
    this.#usualMs += (Math.min(serviceMs, 4 * this.#usualMs + 1) - this.#usualMs) * 0.02;
  }

  #tick(): void {
    const now = performance.now();
    const late = now - this.#lastTick > TICK_MS + LATE_MS;
    this.#lastTick = now;
    const overdue = new Set<LaneStatement>();
    for (const [lane, kind] of this.#lanes) {
      const head = lane.head(now);
      if (head === undefined) continue;
      if (head.forMs > this.#requestTimeoutMs) {
        // This process may have stood still for that long, with the reply in the socket: it is read before the next tick.
        if (this.#overdue.has(head.statement)) lane.cut();
        else overdue.add(head.statement);
      } else if (kind !== 'writes' && !late && lane.awaited && head.forMs > this.#stallMs()) {
        this.#slowUntil.set(head.statement.shardId, now + SLOW_FOR_MS);
        if (kind === 'shared') lane.stalled = true;
      }
    }
    this.#overdue = overdue;
  }

  #stallMs(): number {
    return Math.max(LEAST_STALL_MS, STALL_FACTOR * this.#usualMs);
  }
}
