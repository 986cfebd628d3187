import type { SourceTable } from '../model/source-table.ts';
import type { TargetTable } from '../model/target-table.ts';

const NARROW = /^(smallint|integer)$/;

/** Columns whose ids are wider in the target than in the source: what is numbered there does not fit here. */
export function narrowColumns(
  source: SourceTable,
  target: TargetTable,
): readonly { readonly name: string; readonly type: string }[] {
  return target.columns.flatMap(({ name, type }) => {
    const before = source.columns.find((column) => column.name === name);
    if (before === undefined || before.type === type || !NARROW.test(before.type)) return [];
    return [{ name, type: before.type }];
  });
}
