/** A primary key as texts, one for each of its columns, as Postgres writes them. */
export type RowKey = readonly string[];

/** Keys above `after`, up to and with `upTo`; open where one is absent. */
export interface KeyRange {
  readonly after: RowKey | undefined;
  readonly upTo: RowKey | undefined;
}
