import { quoteLiteral } from '../../internal/quote.ts';
import { parseMysqlType } from '../mapping/mysql-type.ts';
import type { SourceTable } from '../model/source-table.ts';
import type { TargetColumn } from '../model/target-table.ts';
import { type BackfillOf, UnfollowableChange } from './change-table.ts';

/**
 * What MySQL put into an added column in the rows that were there: the declared default, or for NOT NULL without one
 * the type's own (0, '', the first label).
 *
 * @param timestampMs - when the statement ran, for CURRENT_TIMESTAMP
 * @throws UnfollowableChange for values that only the source knows
 */
export function mysqlBackfill(source: SourceTable, timestampMs: number): BackfillOf {
  return (column: TargetColumn): string | null => {
    const origin = source.columns.find(({ name }) => name === column.name);
    if (origin === undefined || column.generated !== null) return null;
    if (origin.generated !== null) throw unknown(column, 'it is computed');
    if (origin.autoIncrement) throw unknown(column, 'it is numbered');
    if (origin.default === null)
      return origin.nullable ? null : implicitDefault(column, parseMysqlType(origin.type).numbers[0] ?? 1);
    if (origin.default.kind === 'literal') return column.default;
    if (/^\(?current_date|^\(?curdate/i.test(origin.default.text))
      throw unknown(column, 'it is the date in the session of the statement');
    if (!/^\(?(current_timestamp|now|localtime)/i.test(origin.default.text))
      throw unknown(column, `it is ${origin.default.text}`);
    const isInstant = /^timestamp(\(0\))?$/i.test(origin.type);
    if (!isInstant) throw unknown(column, 'it is the time in the session of the statement');
    const text = new Date(timestampMs).toISOString().slice(0, 19).replace('T', ' ');
    return quoteLiteral(column.form === 'timestamptz' ? `${text}+00` : text).trim();
  };
}

function unknown({ name }: TargetColumn, why: string): UnfollowableChange {
  return new UnfollowableChange(`the value of the added column ${name} in existing rows is not known here: ${why}`);
}

function implicitDefault(column: TargetColumn, width: number): string {
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
      return "''";
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
