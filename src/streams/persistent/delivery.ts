import type { RecordedEvent } from '../recorded-event.ts';
import type { Exception, GroupSql } from './group-sql.ts';
import type { ResolvedSettings } from './settings.ts';
import type { SliceState } from './slice-state.ts';

/** The consumer in one shard that an event came through. */
export interface DeliveryOwner {
  readonly sql: GroupSql;
  readonly settings: ResolvedSettings;
  /** It is known what is this consumer's. */
  readonly isConfirmed: boolean;
  /** Resolves when it is, or never will be. */
  confirmed(): Promise<void>;
  /** Whether an event may be dealt out now. */
  mayDeal(delivery: Delivery): boolean;
  /** An event was dealt out. */
  dealt(): void;
  settled(delivery: Delivery): void;
  /** Settled in the transaction of its handler; `savedTo` is what that wrote down as the slice's position. */
  settledWithin(delivery: Delivery, savedTo: bigint | undefined): void;
  retry(delivery: Delivery, attempts: number, delayMs: number, reason: string): void;
  park(delivery: Delivery, attempts: number, reason: string): void;
}

/**
 * An event on its way through one consumer.
 *
 * ```
 * ready ──► handed ──► acked ──► done          acked, skipped: the slice's position passes it
 *   │          └─────► leaving ──► done        tried again, parked: a row of its own is written first
 *   └─ kept behind another event ─▲
 * any ──► lost                                 the slice went to another consumer
 * ```
 */
export interface Delivery {
  readonly owner: DeliveryOwner;
  readonly event: RecordedEvent;
  /** Where it stands in the source: number in a stream, position in a shard. */
  readonly position: bigint;
  /** Its 64-bit id. */
  readonly eventId: string;
  /** Events of one key are kept in order. */
  readonly key: string;
  /** Tries before this one. */
  readonly attempts: number;
  /** The slice it was read from; `undefined` when it waited for a retry. */
  readonly slice: SliceState | undefined;
  state: 'ready' | 'handed' | 'acked' | 'leaving' | 'done' | 'lost';
  /** `performance.now()` when it was handed out. */
  handedAt: number;
  /** Its handler's transaction is under way: it is not timed out meanwhile. */
  inTransaction: boolean;
  /** The subscription that has given it out. */
  givenBy: object | undefined;
}

/** Named one by one: it is done for every event, and a spread costs many times as much. */
export function readyDelivery({
  owner,
  event,
  position,
  eventId,
  key,
  attempts,
  slice,
}: Omit<Delivery, 'state' | 'handedAt' | 'inTransaction' | 'givenBy'>): Delivery {
  return {
    owner,
    event,
    position,
    eventId,
    key,
    attempts,
    slice,
    state: 'ready',
    handedAt: 0,
    inTransaction: false,
    givenBy: undefined,
  };
}

/** How the shard is told that an event is tried again, kept behind another one, or parked. */
export function exceptionOf(
  { slice, position, eventId }: Delivery,
  { attempts, delayMs, reason }: Pick<Exception, 'attempts' | 'delayMs' | 'reason'>,
): Exception {
  return { slice: slice?.slice ?? null, position, eventId, attempts, delayMs, reason };
}
