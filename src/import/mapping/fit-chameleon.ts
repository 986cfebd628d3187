import type { ExistingColumn } from '../ddl/existing-table.ts';
import type { SourceColumn, SourceTable } from '../model/source-table.ts';
import type { TargetTable } from '../model/target-table.ts';
import { fitExisting } from './fit-existing.ts';
import { parseMysqlType } from './mysql-type.ts';

/** Types whose values pg_chameleon keeps in another form than they have, or in one form copied and in another streamed. */
const ALTERED: Readonly<Record<string, string>> = {
  float: 'streamed values have digits that copied ones do not have',
  bit: 'the digits of streamed values are read as decimal ones',
  set: 'streamed values are spelt otherwise than copied ones',
  time: 'negative times and those beyond a day are missing',
  binary: 'bytes are kept as the text of their hexadecimal digits',
  varbinary: 'bytes are kept as the text of their hexadecimal digits',
  tinyblob: 'bytes are kept as the text of their hexadecimal digits',
  blob: 'bytes are kept as the text of their hexadecimal digits',
  mediumblob: 'bytes are kept as the text of their hexadecimal digits',
  longblob: 'bytes are kept as the text of their hexadecimal digits',
};

/** Integers of Postgres from narrow to wide. */
const WIDTHS = ['smallint', 'integer', 'bigint', 'numeric'];

/**
 * Maps a table onto the one that pg_chameleon keeps, when what stands there is what a copy of ours would hold.
 *
 * @param utc - the source's own time zone; in another one TIMESTAMP was copied as the clock there showed it
 * @returns the target, or why the table has to be copied anew
 */
export function fitChameleonTable(
  source: SourceTable,
  natural: TargetTable,
  existing: readonly ExistingColumn[],
  utc: boolean,
): { readonly target: TargetTable } | { readonly refusals: readonly string[] } {
  const refusals = source.columns.flatMap((column) => {
    const reason = alteredBy(column, utc) ?? narrower(column, natural, existing);
    return reason === null ? [] : [`${column.name} (${column.type}): ${reason}`];
  });
  if (natural.identity.kind === 'whole-row') refusals.push('it has no key, and its changes were not applied');
  if (refusals.length > 0) return { refusals };
  const fit = fitExisting(source, natural, existing);
  // It is ours from now on: another copy may replace it
  return 'target' in fit ? { target: { ...fit.target, kept: undefined } } : fit;
}

function alteredBy({ type }: SourceColumn, utc: boolean): string | null {
  const { name } = parseMysqlType(type);
  if (name === 'timestamp' && !utc) return 'the source is not in UTC, and the clock there was copied';
  return ALTERED[name] ?? null;
}

/** Values that did not fit were left out with their rows. */
function narrower(column: SourceColumn, natural: TargetTable, existing: readonly ExistingColumn[]): string | null {
  const baseOf = (type: string | undefined): number => WIDTHS.indexOf((type ?? '').replace(/\(.*/, ''));
  const wanted = baseOf(natural.columns.find(({ name }) => name === column.name)?.type);
  const found = existing.find(({ name }) => name === column.name);
  if (wanted === -1 || found === undefined || baseOf(found.type) === -1 || baseOf(found.type) >= wanted) return null;
  return `rows beyond the range of ${found.type} are missing`;
}
