import { quoteLiteral } from '../../internal/quote.ts';
import { type MysqlType, parseMysqlType } from '../mapping/mysql-type.ts';
import type { SourceTable } from '../model/source-table.ts';
import type { TargetColumn } from '../model/target-table.ts';
import { type BackfillOf, UnfollowableChange } from './change-table.ts';

/** The moment of a statement, written as its session showed it and in UTC, with six digits: `2024-01-31 12:00:00.000000`. */
export interface StatementMoment {
  readonly utc: string;
  /** `null` when the time zone of the session is not known. */
  readonly local: string | null;
}

/**
 * What MySQL put into an added column in the rows that were there: the declared default, or for NOT NULL without one
 * the type's own (0, '', the first label).
 *
 * @param moment - when the statement ran, for CURRENT_TIMESTAMP
 * @throws UnfollowableChange for values that only the source knows
 */
export function mysqlBackfill(source: SourceTable, moment: StatementMoment): BackfillOf {
  return (column: TargetColumn): string | null => {
    const origin = source.columns.find(({ name }) => name === column.name);
    if (origin === undefined || column.generated !== null) return null;
    if (origin.generated !== null) throw unknown(column, 'it is computed');
    if (origin.autoIncrement) throw unknown(column, 'it is numbered');
    const { default: value } = origin;
    if (value === null) {
      return origin.nullable ? null : implicitDefault(column, parseMysqlType(origin.type));
    }
    if (value.kind !== 'expression') return column.default;
    const isDate = /^\(?(current_date|curdate)\b/i.test(value.text);
    if (!isDate && !isCurrentTime(value.text)) throw unknown(column, `it is ${value.text}`);
    const isInstant = /^timestamp\b/i.test(origin.type);
    const text = isInstant ? moment.utc : moment.local;
    if (text === null) throw unknown(column, 'it is the time in the session of the statement');
    const digits = parseMysqlType(origin.type).numbers[0] ?? 0;
    const cut = isDate ? text.slice(0, 10) : digits === 0 ? text.slice(0, 19) : text.slice(0, 20 + digits);
    return quoteLiteral(column.form === 'timestamptz' ? `${cut}+00` : cut).trim();
  };
}

/** Whether a default is the time of the statement. */
export function isCurrentTime(expression: string): boolean {
  return /^\(?(current_timestamp|now|localtime|localtimestamp)\b/i.test(expression);
}

function unknown({ name }: TargetColumn, why: string): UnfollowableChange {
  return new UnfollowableChange(`the value of the added column ${name} in existing rows is not known here: ${why}`);
}

function implicitDefault(column: TargetColumn, { name, numbers: [width = 1] }: MysqlType): string {
  switch (column.form) {
    case 'plain':
    case 'double':
    case 'bits-number':
      return '0';
    case 'boolean':
      return 'false';
    case 'text':
      return "''";
    case 'bytea':
      return name === 'binary' ? `'\\x${'00'.repeat(width)}'` : "''";
    case 'bits':
      return `B'${'0'.repeat(width)}'`;
    case 'interval':
    case 'time':
      return "'00:00:00'";
    case 'set-array':
      return "'{}'";
    case 'enum':
      return quoteLiteral(column.enumeration?.labels[0] ?? '').trim();
    case 'date':
    case 'timestamp':
    case 'timestamptz':
      if (column.policy.kind === 'value') return quoteLiteral(column.policy.text).trim();
      throw unknown(column, 'it is the zero date');
    case 'uuid':
    case 'uuid-binary':
      return "'00000000-0000-0000-0000-000000000000'";
    default:
      throw unknown(column, 'its type has no default of its own');
  }
}
