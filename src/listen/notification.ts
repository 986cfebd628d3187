/** One NOTIFY as it arrived. */
export interface Notification {
  readonly channel: string;
  /** The text given to NOTIFY; `''` when there was none. */
  readonly payload: string;
  /** Backend that sent it, as in `pg_stat_activity.pid`. */
  readonly processId: number;
  readonly receivedAt: Date;
}
