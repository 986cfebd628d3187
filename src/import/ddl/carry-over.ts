import type { SourceTable } from '../model/source-table.ts';
import type { TargetTable } from '../model/target-table.ts';

/**
 * Keeps what a table has in the target for every column whose source type a statement did not touch: it may have been
 * widened for shards, or mapped under options that have changed since.
 */
export function carryOver(
  before: { readonly source: SourceTable; readonly target: TargetTable },
  after: { readonly source: SourceTable; readonly target: TargetTable },
  renamed: ReadonlyMap<string, string>,
): TargetTable {
  const columns = after.target.columns.map((column) => {
    const oldName = [...renamed].find(([, name]) => name === column.name)?.[0];
    const old = before.target.columns.find(({ name }) => name === oldName);
    const oldSource = before.source.columns.find(({ name }) => name === oldName);
    const newSource = after.source.columns.find(({ name }) => name === column.name);
    if (old === undefined || oldSource === undefined || newSource === undefined) return column;
    if (oldSource.type !== newSource.type || oldSource.autoIncrement !== newSource.autoIncrement) return column;
    const sameDefault = JSON.stringify(oldSource.default) === JSON.stringify(newSource.default);
    return {
      ...column,
      type: old.type,
      form: old.form,
      identity: old.identity,
      generated: old.generated,
      default: sameDefault ? old.default : column.default,
    };
  });
  return { ...after.target, columns, kept: before.target.kept };
}
