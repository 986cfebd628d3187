import type { Delivery } from './delivery.ts';

/** Where a consumer's events go. */
export interface Dealer {
  /** Somebody waits for an event. */
  readonly asking: boolean;
  /** Events to deal out, in order; those that waited for a retry come before all others. */
  ready(deliveries: readonly Delivery[], first: boolean): void;
  /** Takes back events that were not dealt out yet. */
  withdraw(of: (delivery: Delivery) => boolean): Delivery[];
  /** Events that were dealt out and are not this consumer's any more. */
  forget(deliveries: readonly Delivery[]): void;
  failed(error: unknown): void;
}
