import { ConfigurationError } from '../../errors.ts';
import { qualifiedName, type SourceColumn, type SourceTable } from '../model/source-table.ts';
import type { ValueForm, ValuePolicy } from '../model/target-table.ts';
import { parseMysqlType } from './mysql-type.ts';

/**
 * The `value_policy` of the configuration: a column (`db.table.column`), a full type (`tinyint(1)`), a bare type
 * (`datetime`) or `*`, mapped to `null`, `'error'`, `'strip'` (text: leave out NUL characters) or a value.
 */
export type ValuePolicies = Readonly<Record<string, string | number | null>>;

/**
 * The policy of one column: the most specific entry of the configuration, else our default – which keeps the row
 * and says so: `null` where the column takes it; for NOT NULL dates `-infinity`; NUL characters are left out of text.
 */
export function policyFor(
  table: Pick<SourceTable, 'schema' | 'name'>,
  column: SourceColumn,
  form: ValueForm,
  policies: ValuePolicies,
): ValuePolicy {
  const names = [`${qualifiedName(table)}.${column.name}`, column.type, parseMysqlType(column.type).name, '*'];
  for (const name of names) {
    if (Object.hasOwn(policies, name)) return parsePolicy(name, policies[name]!, column, form);
  }
  if (form === 'text' || form === 'json') return { kind: 'strip' };
  if (column.nullable) return { kind: 'null' };
  if (form === 'date' || form === 'timestamp' || form === 'timestamptz') return { kind: 'value', text: '-infinity' };
  return { kind: 'error' };
}

function parsePolicy(name: string, value: string | number | null, column: SourceColumn, form: ValueForm): ValuePolicy {
  if (value === null || value === 'null') {
    if (!column.nullable && !name.includes('.')) return { kind: 'error' };
    return { kind: 'null' };
  }
  if (value === 'error') return { kind: 'error' };
  if (value === 'strip') {
    if (form === 'text' || form === 'json' || name === '*') return { kind: 'strip' };
    throw new ConfigurationError(
      `value_policy ${JSON.stringify(name)}: "strip" is for text columns; use null, error or a value`,
    );
  }
  return { kind: 'value', text: String(value) };
}
