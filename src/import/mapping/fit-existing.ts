import type { ExistingColumn } from '../ddl/existing-table.ts';
import type { SourceColumn, SourceTable } from '../model/source-table.ts';
import type { TargetColumn, TargetTable } from '../model/target-table.ts';
import { overriddenForm } from './target-type.ts';

/**
 * Maps a table into one that is there already (`keep_existing_schema`): its types are taken as they are.
 *
 * @returns the target, or every reason why rows of the source do not fit in unchanged
 */
export function fitExisting(
  source: SourceTable,
  natural: TargetTable,
  existing: readonly ExistingColumn[],
): { readonly target: TargetTable } | { readonly refusals: readonly string[] } {
  const refusals: string[] = [];
  const columns: TargetColumn[] = [];
  for (const column of natural.columns) {
    const found = existing.find(({ name }) => name === column.name);
    const origin = source.columns.find(({ name }) => name === column.name)!;
    if (found === undefined) {
      refusals.push(`the table has no column ${column.name}`);
      continue;
    }
    const fitted = fitColumn(origin, column, found);
    if (typeof fitted === 'string') refusals.push(`column ${column.name}: ${fitted}`);
    else columns.push(fitted);
  }
  for (const { name, notNull, hasDefault, generated } of existing) {
    if (natural.columns.some((column) => column.name === name) || !notNull || hasDefault || generated) continue;
    refusals.push(`its column ${name} is NOT NULL, has no default, and the source has none of that name`);
  }
  if (refusals.length > 0) return { refusals };
  return { target: { ...natural, columns, kept: true } };
}

function fitColumn(origin: SourceColumn, natural: TargetColumn, found: ExistingColumn): TargetColumn | string {
  const column = {
    ...natural,
    type: found.type,
    nullable: !found.notNull,
    identity: found.numbered,
    enumeration: null,
    generated: found.generated ? 'by the table' : null,
  };
  if (found.generated) return column;
  if (found.labels !== null) {
    if (natural.form !== 'enum') return `${origin.type} does not fit into the enum ${found.type}`;
    const missing = natural.enumeration?.labels.filter((label) => !found.labels!.includes(label)) ?? [];
    return missing.length === 0 ? column : `the type ${found.type} lacks the labels ${missing.join(', ')}`;
  }
  const form = overriddenForm(origin, found.type, { type: natural.type, form: natural.form });
  if (form === null) return `${origin.type} cannot be written as ${found.type}`;
  const loss = lossOf(natural.type, found.type);
  return loss === null ? { ...column, form } : `${origin.type} would be cut: ${loss}`;
}

/** What Postgres would round away without a word when a value of one type is read into another. */
function lossOf(natural: string, found: string): string | null {
  if (natural === found) return null;
  const [wanted, there] = [partsOf(natural), partsOf(found)];
  if (/^(timestamp|interval|time)/.test(wanted.base)) {
    if (there.base === 'date') return 'a date has no time of day';
    if (there.base === 'text' || there.base.startsWith('character')) return null;
    return (there.numbers[0] ?? 6) < (wanted.numbers[0] ?? 6) ? `${found} holds fewer digits of a second` : null;
  }
  if (wanted.base === 'double precision' && there.base === 'real') return 'real holds fewer digits';
  if (there.base === 'numeric' && there.numbers.length > 0) {
    const scale = there.numbers[1] ?? 0;
    if (wanted.base === 'numeric' && (wanted.numbers[1] ?? 0) <= scale) return null;
    return /^(smallint|integer|bigint)$/.test(wanted.base) ? null : `${found} holds fewer digits behind the point`;
  }
  if (/^(real|double precision)$/.test(there.base) && /^(numeric|bigint)$/.test(wanted.base))
    return `${found} does not hold every number exactly`;
  return null;
}

function partsOf(type: string): { base: string; numbers: number[] } {
  const numbers = /\(([\d,]+)\)/.exec(type)?.[1]?.split(',').map(Number) ?? [];
  return { base: type.replace(/\([\d,]+\)/, '').trim(), numbers };
}
