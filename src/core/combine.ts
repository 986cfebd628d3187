import { InvalidArgumentError } from '../errors.ts';
import { scaleOf, unscaled } from './column-order.ts';

/** How a column of an aggregate is put together over shards. There is no `avg`: ask for `sum` and `count`. */
export type Combination = 'sum' | 'count' | 'min' | 'max';

const COMBINATIONS: readonly string[] = ['sum', 'count', 'min', 'max'];

type Row = Record<string, unknown>;

/**
 * Puts rows of many shards together: rows that agree in every column not named in `combine` become one.
 *
 * @example
 * ```ts
 * combineRows([{ city: 'Rome', n: 2n }, { city: 'Rome', n: 3n }], { n: 'sum' });   // [{ city: 'Rome', n: 5n }]
 * ```
 */
export function combineRows(rows: readonly Row[], combine: Readonly<Record<string, Combination>>): Row[] {
  for (const [column, how] of Object.entries(combine)) {
    if (!COMBINATIONS.includes(how)) {
      throw new InvalidArgumentError(
        `combine: ${column} must be one of ${COMBINATIONS.join(', ')}, not ${String(how)}`,
      );
    }
    if (rows[0] !== undefined && !(column in rows[0])) {
      throw new InvalidArgumentError(`combine: the result has no column ${JSON.stringify(column)}`);
    }
  }
  const groups = new Map<string, Row>();
  for (const row of rows) {
    const key = JSON.stringify(
      Object.entries(row).filter(([column]) => !(column in combine)),
      (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value),
    );
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { ...row });
    else for (const [column, how] of Object.entries(combine)) group[column] = join(group[column], row[column], how);
  }
  return [...groups.values()];
}

/** Like SQL's aggregates, NULL does not count. */
function join(a: unknown, b: unknown, how: Combination): unknown {
  if (a === null) return b;
  if (b === null) return a;
  if (how === 'sum' || how === 'count') return add(a, b);
  const aFirst = isDecimal(a) && isDecimal(b) ? lessDecimal(a, b) : (a as never) < (b as never);
  return aFirst === (how === 'min') ? a : b;
}

function add(a: unknown, b: unknown): unknown {
  if (typeof a === 'bigint' && typeof b === 'bigint') return a + b;
  if (typeof a === 'number' && typeof b === 'number') return a + b;
  if (isDecimal(a) && isDecimal(b)) {
    const scale = Math.max(scaleOf(a), scaleOf(b));
    const digits = unscaled(a, scale) + unscaled(b, scale);
    const text = (digits < 0n ? -digits : digits).toString().padStart(scale + 1, '0');
    const whole = text.slice(0, text.length - scale);
    return `${digits < 0n ? '-' : ''}${whole}${scale > 0 ? `.${text.slice(-scale)}` : ''}`;
  }
  throw new InvalidArgumentError(`combine: ${String(a)} and ${String(b)} can't be added; cast the column to a number`);
}

function lessDecimal(a: string, b: string): boolean {
  const scale = Math.max(scaleOf(a), scaleOf(b));
  return unscaled(a, scale) < unscaled(b, scale);
}

/** `numeric` as node-postgres gives it. */
function isDecimal(value: unknown): value is string {
  return typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value);
}
