import type { TableRow } from '../catalogue/table-rows.ts';
import type { PlannedTable } from './survey.ts';

/** Whether a table is still the one whose copy was begun: estimates may differ. */
export function isSamePlan(row: TableRow, planned: PlannedTable): boolean {
  const bare = ({ estimatedRows: _, estimatedBytes: __, nextNumber: ___, ...rest }: PlannedTable['source']): unknown =>
    rest;
  return (
    canonical(bare(row.source)) === canonical(bare(planned.source)) &&
    canonical(row.target) === canonical(planned.target) &&
    canonical(row.routing) === canonical(planned.routing)
  );
}

/** JSON with sorted keys: jsonb does not keep their order. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}
