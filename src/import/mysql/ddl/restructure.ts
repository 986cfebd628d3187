import type { StatementOutcome } from '../../catalogue/error-rows.ts';
import { mysqlBackfill, type StatementMoment } from '../../ddl/backfill.ts';
import { carryOver } from '../../ddl/carry-over.ts';
import { changeTableStatements, UnfollowableChange } from '../../ddl/change-table.ts';
import { UnmappableTable } from '../../mapping/map-table.ts';
import type { SourceTable } from '../../model/source-table.ts';
import type { FollowedTable } from '../../stream/followed-table.ts';
import type { AlterAction } from './alter-actions.ts';
import { withRenamedParent } from './next-foreign-keys.ts';
import { alteredStructure } from './next-structure.ts';
import { pushRound, type StatementInHand, setAside } from './statement-in-hand.ts';

/** Changes a followed table as the actions say, or sets it aside. */
export async function restructure(
  work: StatementInHand,
  table: FollowedTable,
  actions: readonly AlterAction[],
  current: SourceTable | null,
): Promise<StatementOutcome> {
  const { host, tables } = work.options;
  const next = alteredStructure(table.source, actions, current);
  const unknown = actions.find((action) => action.kind === 'unknown');
  if (unknown !== undefined && current !== null && !sameColumns(next.table, current)) {
    return setAside(work, table, `the action was not understood: ${unknown.text.slice(0, 200)}`);
  }
  try {
    const target = carryOver(table, { source: next.table, target: host.map(next.table) }, next.renamed);
    const statements = changeTableStatements(
      table.target,
      target,
      next.renamed,
      mysqlBackfill(next.table, await momentOf(work)),
    );
    const after: FollowedTable = { ...table, version: table.version + 1, source: next.table, target };
    tables.put(after);
    pushRound(work, { before: table, after, statements });
    renameParent(work, table, after, next.renamed);
    return unknown === undefined ? 'followed' : 'unknown';
  } catch (error) {
    if (!(error instanceof UnmappableTable) && !(error instanceof UnfollowableChange)) throw error;
    return setAside(work, table, error.message);
  }
}

/** The server renames a parent in its children's foreign keys by itself. */
function renameParent(
  work: StatementInHand,
  before: FollowedTable,
  after: FollowedTable,
  renamed: ReadonlyMap<string, string>,
): void {
  const { tables } = work.options;
  for (const child of [...tables]) {
    if (child === after) continue;
    const old = child.source.foreignKeys;
    const foreignKeys = old.map((key) => withRenamedParent(key, before.source, after.source, renamed));
    if (foreignKeys.every((key, index) => key === old[index])) continue;
    const next = { ...child, version: child.version + 1, source: { ...child.source, foreignKeys } };
    tables.put(next);
    pushRound(work, { before: child, after: next, statements: [] });
  }
}

async function momentOf({ options, statement }: StatementInHand): Promise<StatementMoment> {
  const { timestampMs, microseconds, timeZone } = statement;
  const utc = `${new Date(timestampMs).toISOString().slice(0, 19).replace('T', ' ')}.${String(microseconds).padStart(6, '0')}`;
  return { utc, local: timeZone === null ? null : await options.localTime(utc, timeZone) };
}

function sameColumns(a: SourceTable, b: SourceTable): boolean {
  const signature = (table: SourceTable): string => table.columns.map(({ name, type }) => `${name} ${type}`).join(', ');
  return signature(a) === signature(b);
}
