import { quoteIdentifier, quoteLiteral } from '../../internal/quote.ts';
import type { TargetColumn } from '../model/target-table.ts';
import { createEnumStatements, typeSql } from './create-table.ts';
import { SCHEMA } from './run-statements.ts';

/** A change that cannot be made here such that the rows come out as they did in the source. */
export class UnfollowableChange extends Error {}

/**
 * Gives a column another type, its default taken off.
 * @throws UnfollowableChange when it is not certain how the source converts the values
 */
export function changeType(table: string, old: TargetColumn, column: TargetColumn): string[] {
  const quoted = quoteIdentifier(column.name);
  const change = (using: string): string =>
    `alter table ${table} alter column ${quoted} type ${typeSql(column)}${using}`;
  const dropDefault = `alter table ${table} alter column ${quoted} drop default`;
  if (column.enumeration !== null) return changeEnum(old, column, { quoted, change, dropDefault });
  const using = castOf(old, column, quoted);
  return [
    dropDefault,
    change(using),
    ...(old.enumeration === null ? [] : [`drop type if exists ${SCHEMA}.${quoteIdentifier(old.enumeration.name)}`]),
  ];
}

function changeEnum(
  old: TargetColumn,
  column: TargetColumn,
  { quoted, change, dropDefault }: { quoted: string; change: (using: string) => string; dropDefault: string },
): string[] {
  const { name, labels } = column.enumeration!;
  const place = (type: string): string => `${SCHEMA}.${quoteIdentifier(type)}`;
  if (old.enumeration === null)
    return [dropDefault, ...createEnumStatements(column), change(` using ${quoted}::text::${place(name)}`)];
  const added = appended(old.enumeration.labels, labels);
  const sameName = old.enumeration.name === name;
  // Labels at the end cost nothing, a new name neither; anything else rewrites the table
  if (added?.length === 0) return [`alter type ${place(old.enumeration.name)} rename to ${quoteIdentifier(name)}`];
  if (added !== null && sameName) {
    return added.map((label) => `alter type ${place(name)} add value if not exists ${quoteLiteral(label).trim()}`);
  }
  const aside = `hv_old_${name}`.slice(0, 63);
  return [
    dropDefault,
    `alter type ${place(old.enumeration.name)} rename to ${quoteIdentifier(aside)}`,
    ...createEnumStatements(column),
    change(` using ${quoted}::text::${place(name)}`),
    `drop type ${place(aside)}`,
  ];
}

function appended(before: readonly string[], after: readonly string[]): string[] | null {
  return before.every((label, index) => after[index] === label) ? after.slice(before.length) : null;
}

const WHOLE = /^(smallint|integer|bigint)$/;
const NUMBER = /^(smallint|integer|bigint|numeric\b.*)$/;
const TEXT = /^(text|character varying\b.*)$/;

/**
 * The USING clause of a conversion that gives what MySQL gives: between numbers, from numbers to text, between texts
 * (without an explicit cast, so that a text that is too long is an error and not cut), between times.
 */
function castOf(old: TargetColumn, column: TargetColumn, quoted: string): string {
  const [from, to] = [old.type, column.type];
  if (TEXT.test(to) && (TEXT.test(from) || WHOLE.test(from) || /^numeric/.test(from)))
    return TEXT.test(from) ? '' : ` using ${quoted}::text`;
  if (TEXT.test(to) && old.enumeration !== null) return ` using ${quoted}::text`;
  if (NUMBER.test(from) && NUMBER.test(to)) return ` using ${quoted}::${to}`;
  if (from === 'real' && to === 'double precision') return '';
  if (from === 'date' && to.startsWith('timestamp') && to.includes('without')) return '';
  if (sameFamily(from, to, 'timestamp') || sameFamily(from, to, 'interval')) return '';
  if (from === 'bytea' && to === 'bytea') return '';
  if (old.form === 'json' && column.form === 'json') return ` using ${quoted}::text::${to}`;
  if (TEXT.test(from) && column.form === 'json') return ` using ${quoted}::${to}`;
  if (old.form === 'json' && TEXT.test(to) && from === 'json') return ` using ${quoted}::text`;
  throw new UnfollowableChange(
    `the column ${column.name} became ${to}, and how the source converts its ${from} is not certain`,
  );
}

function sameFamily(from: string, to: string, family: string): boolean {
  return from.startsWith(family) && to.startsWith(family) && from.replace(/\(\d+\)/, '') === to.replace(/\(\d+\)/, '');
}
