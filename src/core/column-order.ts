import type { FieldDef } from 'pg';
import { InvalidArgumentError } from '../errors.ts';
import { quoteIdentifier } from '../internal/quote.ts';

/** A column rows are ordered by, as its name or with a direction. */
export type OrderBy = string | { readonly column: string; readonly descending?: boolean | undefined };

/** One column of an order, with how two of its values compare in this process exactly as they do on the server. */
interface OrderedColumn {
  readonly column: string;
  readonly descending: boolean;
  readonly isText: boolean;
  readonly compare: (a: never, b: never) => number;
}

type Compare = (a: never, b: never) => number;

const plain: Compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const dates: Compare = (a: Date | number, b: Date | number) => Number(a) - Number(b);
/** NaN is greater than every number, as in Postgres. */
const floats: Compare = (a: number, b: number) =>
  Number.isNaN(a) ? (Number.isNaN(b) ? 0 : 1) : Number.isNaN(b) ? -1 : a - b;

/** By the oids of Postgres' own types, which are fixed. */
const COMPARE = new Map<number, Compare>([
  [16, plain], // bool
  [20, plain], // int8, as bigint
  [21, plain], // int2
  [23, plain], // int4
  [26, plain], // oid
  [700, floats],
  [701, floats],
  [1700, compareDecimals],
  [1082, dates], // date
  [1114, dates], // timestamp
  [1184, dates], // timestamptz
  [2950, plain], // uuid, as text of one form
]);
const TEXT = new Set([25, 1042, 1043, 19]); // text, bpchar, varchar, name

/** Orders rows of many shards the way their server ordered each shard's. */
export class ColumnOrder {
  readonly #columns: readonly OrderedColumn[];

  /** @throws InvalidArgumentError for a column that is not in the result, or whose type has no order known here */
  constructor(orderBy: OrderBy | readonly OrderBy[], fields: readonly FieldDef[]) {
    const list = Array.isArray(orderBy) ? (orderBy as readonly OrderBy[]) : [orderBy as OrderBy];
    this.#columns = list.map((entry) => {
      const { column, descending = false } = typeof entry === 'string' ? { column: entry } : entry;
      const field = fields.find(({ name }) => name === column);
      if (field === undefined) {
        throw new InvalidArgumentError(
          `orderBy: the result has no column ${JSON.stringify(column)}; it has ${fields.map(({ name }) => name).join(', ')}`,
        );
      }
      const isText = TEXT.has(field.dataTypeID);
      const compare = isText ? compareCodePoints : COMPARE.get(field.dataTypeID);
      if (compare === undefined) {
        throw new InvalidArgumentError(
          `orderBy: column ${JSON.stringify(column)} is of a type that can't be merged; cast it to text or a number`,
        );
      }
      return { column, descending, isText, compare: compare as Compare };
    });
  }

  /** What follows ORDER BY. Text is ordered by code point: collations differ between servers. */
  get sql(): string {
    return this.#columns
      .map(({ column, descending, isText }) => {
        const collate = isText ? ' collate "C"' : '';
        return `${quoteIdentifier(column)}${collate}${descending ? ' desc' : ''} nulls last`;
      })
      .join(', ');
  }

  /** Compares two rows; NULL comes last. */
  readonly compare = (a: Record<string, unknown>, b: Record<string, unknown>): number => {
    for (const { column, descending, compare } of this.#columns) {
      const [x, y] = [a[column], b[column]];
      if (x === y) continue;
      if (x === null) return 1;
      if (y === null) return -1;
      const order = compare(x as never, y as never);
      if (order !== 0) return descending ? -order : order;
    }
    return 0;
  };
}

/** By code point, which is the order of UTF-8 bytes; JavaScript's own order is by UTF-16 unit. */
function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    const [xHigh, yHigh] = [isSurrogate(x), isSurrogate(y)];
    return xHigh === yHigh ? x - y : xHigh ? 1 : -1;
  }
  return a.length - b.length;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}

/** `numeric` as text, of any size and scale. */
function compareDecimals(a: string, b: string): number {
  if (a === 'NaN' || b === 'NaN') return a === b ? 0 : a === 'NaN' ? 1 : -1;
  const [x, y] = [Number(a), Number(b)];
  if (x !== y || !Number.isFinite(x)) return x - y || 0;
  const scale = Math.max(scaleOf(a), scaleOf(b));
  const difference = unscaled(a, scale) - unscaled(b, scale);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** Digits behind the point. */
export function scaleOf(decimal: string): number {
  const point = decimal.indexOf('.');
  return point < 0 ? 0 : decimal.length - point - 1;
}

/** The decimal as a whole number of 10^−scale. */
export function unscaled(decimal: string, scale: number): bigint {
  const [whole = '0', fraction = ''] = decimal.split('.');
  return BigInt(whole + fraction.padEnd(scale, '0'));
}
