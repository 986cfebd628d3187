/** A schema on a server: where rows of a table can go. Told apart by identity, so there is one object per place. */
export interface Destination {
  /** Name of the server in the configuration. */
  readonly server: string;
  readonly schema: string;
  /** The logical shard, or `null` for a plain schema. */
  readonly shard: number | null;
}

/** Says where the rows of one table go. */
export type Router =
  /** Every row goes to each of the destinations: a table that is not sharded has one, a reference table one per server. */
  | { readonly kind: 'fixed'; readonly destinations: readonly Destination[] }
  /** A row goes to the shard of its routing key. */
  | {
      readonly kind: 'by-key';
      readonly destinations: readonly Destination[];
      /** The target columns the key is made of. */
      readonly columns: readonly string[];
      /** From the columns' values as text to the destination. */
      readonly route: (values: readonly (string | null)[]) => Destination;
    };
