/**
 * A place in a source's log, at the end of a transaction. `ordinal` orders the places of one server;
 * `gtid` finds the place again on another server of the same topology.
 */
export interface Position {
  readonly ordinal: bigint;
  /** For people and for the source: `mysql-bin.000003:4711`, or `0/16B3748`. */
  readonly text: string;
  readonly gtid: string | null;
}
