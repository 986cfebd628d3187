import type { SourceConfig } from '../config/source-config.ts';
import type { Problem } from '../errors.ts';
import { qualifiedName } from '../model/source-table.ts';
import { CascadeLinks } from '../stream/cascade-links.ts';
import type { FollowedTable } from '../stream/followed-table.ts';
import { routerOf, skippedEvents } from '../workers/load-tables.ts';
import type { EngineContext } from './context.ts';
import type { PlannedTable } from './survey.ts';

/**
 * MySQL does not log what a foreign key's CASCADE or SET NULL does to the children. The target does the same when the
 * parent's change arrives – where it can, and this says where it cannot.
 */
export function cascadeWarnings(
  context: EngineContext,
  config: SourceConfig,
  tables: readonly PlannedTable[],
): Problem[] {
  const followed = tables.map((table, index): FollowedTable => {
    const { source, target } = table;
    return {
      id: index,
      version: 1,
      source,
      target,
      router: routerOf(context, config, table),
      copiedAt: { all: 0n, column: null, ranges: [] },
      skipEvents: skippedEvents(config, source),
    };
  });
  const links = new CascadeLinks(followed);
  const warnings = new Set<string>();
  const problems: Problem[] = [];
  const warn = (table: FollowedTable, message: string): void => {
    const name = qualifiedName(table.source);
    if (warnings.has(`${name} ${message}`)) return;
    warnings.add(`${name} ${message}`);
    problems.push({ level: 'warning', table: name, message });
  };
  for (const table of followed) {
    for (const key of table.source.foreignKeys) {
      if (!/cascade|set null/.test(`${key.onDelete} ${key.onUpdate}`)) continue;
      const link = links.into(table.id).find(({ name }) => name === key.name);
      if (link === undefined) {
        const parent = `${key.parentSchema}.${key.parentTable}`;
        warn(
          table,
          `the foreign key ${key.name} changes rows with ${parent}, which is not replicated: those changes do not arrive`,
        );
      } else if (link.childColumns.some((name) => isText(table, name))) {
        warn(
          table,
          `the foreign key ${key.name} compares text: where it changes rows by itself, only those are found whose key is spelt exactly as the parent's`,
        );
      }
    }
    for (const { parentColumns } of links.from(table.id)) {
      for (const cause of ['delete', 'update'] as const) {
        for (const reached of links.reached(table.id, parentColumns, cause)) {
          const problem = links.problem(reached);
          if (problem === null) continue;
          warn(
            reached.link.child,
            `it will be set aside when the foreign key ${reached.link.name} changes rows of it: ${problem}`,
          );
        }
      }
    }
  }
  return problems;
}

function isText({ target }: FollowedTable, name: string): boolean {
  return target.columns.some((column) => column.name === name && column.form === 'text');
}
