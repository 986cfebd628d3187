/** How one sort of value is kept as a text in hstore. */
export interface FieldCodec<Value> {
  /** For messages, e.g. `a whole number`. */
  readonly description: string;
  readonly optional: boolean;
  /** The text to store; `undefined` when the value is none of this sort. */
  encode(value: Value): string | undefined;
  /** The value of a stored text; `undefined` when the text is none of this sort. */
  decode(text: string): Value | undefined;
}

/** A field that may be absent; it is read as `null` then. */
export interface OptionalFieldCodec<Value> extends FieldCodec<Value> {
  readonly optional: true;
}

function codec<Value>(
  description: string,
  encode: (value: unknown) => string | undefined,
  decode: (text: string) => Value | undefined,
): FieldCodec<Value> & { readonly optional: false } {
  return { description, optional: false, encode, decode };
}

const INTEGER = /^-?\d+$/;
const NUMBER = /^(NaN|-?Infinity|-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?)$/i;
const ISO_TIME = /^[+-]?\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

/**
 * The sorts of fields a kind may have, each kept as the text that Postgres would write for it, so that
 * `(body -> 'age')::int` works in SQL.
 *
 * @example
 * ```ts
 * defineKind({
 *   id: 2,
 *   name: 'user',
 *   fields: { name: field.string, age: field.int, born: field.optional(field.date), tags: field.json<string[]>() },
 * });
 * ```
 */
export const field = {
  /** Any text without NUL. */
  string: codec<string>(
    'a text',
    (value) => (typeof value === 'string' ? value : undefined),
    (text) => text,
  ),

  /** A whole number that a JavaScript number holds exactly: within ±2^53. */
  int: codec<number>(
    'a whole number within ±2^53',
    (value) => (Number.isSafeInteger(value) ? String(value === 0 ? 0 : value) : undefined),
    (text) => {
      const value = INTEGER.test(text) ? Number(text) : Number.NaN;
      return Number.isSafeInteger(value) ? value : undefined;
    },
  ),

  /** A whole number of any size. */
  bigint: codec<bigint>(
    'a bigint',
    (value) => (typeof value === 'bigint' ? value.toString() : undefined),
    (text) => (INTEGER.test(text) ? BigInt(text) : undefined),
  ),

  /** A double; the same bits come back, NaN and the infinities too. */
  float: codec<number>(
    'a number',
    (value) => (typeof value === 'number' ? (Object.is(value, -0) ? '-0' : String(value)) : undefined),
    (text) => (NUMBER.test(text) ? Number(text.replace(/infinity/i, 'Infinity')) : undefined),
  ),

  boolean: codec<boolean>(
    'true or false',
    (value) => (typeof value === 'boolean' ? String(value) : undefined),
    (text) => (text === 'true' || text === 't' ? true : text === 'false' || text === 'f' ? false : undefined),
  ),

  /** A moment, kept in ISO 8601 and UTC, to the millisecond. */
  date: codec<Date>(
    'a valid Date',
    (value) => (value instanceof Date && !Number.isNaN(value.getTime()) ? value.toISOString() : undefined),
    (text) => {
      const value = ISO_TIME.test(text) ? new Date(text) : undefined;
      return value === undefined || Number.isNaN(value.getTime()) ? undefined : value;
    },
  ),

  /** Anything JSON holds. What JSON would drop or change without a word is up to the caller: Dates, Maps, undefined. */
  json: <Value>(): FieldCodec<Value> & { readonly optional: false } =>
    codec<Value>('a value that JSON holds', jsonText, (text) => {
      try {
        return JSON.parse(text) as Value;
      } catch {
        return undefined;
      }
    }),

  /** A field that may be absent. */
  optional: <Value>(of: FieldCodec<Value> & { readonly optional: false }): OptionalFieldCodec<Value> => ({
    ...of,
    optional: true,
  }),
};

function jsonText(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    // A bigint, or a circle.
    return undefined;
  }
}
