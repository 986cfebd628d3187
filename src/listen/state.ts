/**
 * What a hub or supervisor is doing.
 *
 * ```
 *              ┌──────────────── lost ────────────────┐
 *              v                                      │
 * stopped → connecting ── role, LISTEN, catch-up → listening
 *              │  ^                                   │
 *      only a  │  │ promoted, or time to look again    │ demoted
 *     standby  v  │                                   v
 *            standby / backoff ───── close ───────→ stopped
 * ```
 *
 * - `connecting`: an attempt is under way, the first one or the one at once after a loss.
 * - `listening`: on the primary; notifications arrive (or are polled for, see `mode`).
 * - `standby`: servers answer, and none of them is a primary.
 * - `backoff`: no server can be used; `nextRetryAt` says when the next attempt is due.
 * - `stopped`: not started, closed, or given up.
 */
export type ListenState = 'connecting' | 'standby' | 'listening' | 'backoff' | 'stopped';

/** One change of state. */
export interface StateChange {
  readonly from: ListenState;
  readonly to: ListenState;
  /** A sentence for people. */
  readonly reason: string;
  /** What went wrong, when something did. */
  readonly error?: unknown;
  readonly nextRetryAt?: Date | undefined;
}
