import type { Key } from './key.ts';

/** Values that hstore can hold. */
export type Body = Record<string, string | null>;

/** One entity as it is read. */
export interface Entity {
  readonly key: Key;
  /** A smallint that says what sort of entity this is. */
  readonly kind: number;
  readonly body: Body;
  /** When it was last written, by its server's clock, to the millisecond. */
  readonly updated: Date;
}
