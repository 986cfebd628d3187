import { quoteIdentifier } from '../../internal/quote.ts';
import type { TargetTable } from '../model/target-table.ts';
import { SCHEMA } from './run-statements.ts';

/** Takes a table away, with the enum types that were made for it. */
export function dropTableStatements(table: TargetTable): string[] {
  return [
    `drop table if exists ${SCHEMA}.${quoteIdentifier(table.name)}`,
    ...table.columns.flatMap(({ enumeration }) =>
      enumeration === null ? [] : [`drop type if exists ${SCHEMA}.${quoteIdentifier(enumeration.name)}`],
    ),
  ];
}
