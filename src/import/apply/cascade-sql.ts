import { quoteIdentifier } from '../../internal/quote.ts';
import type { CascadeAction, CascadeLink } from '../stream/cascade-links.ts';
import type { CopiedAt } from '../stream/followed-table.ts';
import { qualify } from './table-sql.ts';

/** A link that rows changed by another link may set to work, and the stage that takes its keys. */
export interface OnwardStage {
  readonly link: CascadeLink;
  readonly stage: string;
}

export interface CascadeStatement {
  readonly link: CascadeLink;
  readonly action: CascadeAction;
  /** The schema whose children are changed. */
  readonly schema: string;
  readonly stage: string;
  /** Which of the stage's rows are meant; those for the onward stages get the next number. */
  readonly turn: number;
  readonly onward: readonly OnwardStage[];
}

/** The columns of a stage: turn, place in the log, old key, new key. */
export function stageColumns({ childColumns }: CascadeLink): string[] {
  return ['hv_turn', 'hv_at', ...childColumns.map((_, n) => `hv_old${n}`), ...childColumns.map((_, n) => `hv_new${n}`)];
}

/** What makes a stage: its key columns have the types of the child's. */
export function stageSelect({ childColumns }: CascadeLink): string {
  const key = (prefix: string): string =>
    childColumns.map((name, n) => `${quoteIdentifier(name)} as ${prefix}${n}`).join(', ');
  return `0 as hv_turn, 0::numeric(40) as hv_at, ${key('hv_old')}, ${key('hv_new')}`;
}

/**
 * One statement that does to the children of the staged keys in one schema what the source did, and stages the keys
 * of those children for their own children. Answers with the number of rows changed (`n`). It runs in a transaction
 * that holds no lock but those of the rows it changes.
 */
export function cascadeSql(statement: CascadeStatement): string {
  const { link, action, schema, onward, turn } = statement;
  const { child, childColumns } = link;
  const place = qualify(schema, child.target.name);
  const match = (row: string): string =>
    [
      `k.hv_turn = ${turn}`,
      ...childColumns.map((name, n) => `${row}.${quoteIdentifier(name)} = k.hv_old${n}`),
      copiedBefore(child.copiedAt, row),
    ].join('\n   and ');
  const staged = onward.map(({ link: next, stage }, index) => {
    const columns = stageColumns(next);
    const keys = [keyOf(next, 'hv_was'), ...(action === 'delete' ? [] : [keyOf(next, 'hv_is')])];
    const named = action === 'delete' ? columns.slice(0, 2 + next.childColumns.length) : columns;
    return `staged${index} as (
  insert into ${stage} (${named.join(', ')})
  select distinct ${turn + 1}, hv_at, ${keys.join(', ')}
    from changed
)`;
  });
  // Only keys that others refer to are of interest, and what a key was is only known before the change
  const was = returned(onward, 'o', 'hv_was');
  const is = returned(onward, 't', 'hv_is');
  if (action === 'delete') {
    return `with changed as (
  delete from ${place} o
   using ${statement.stage} k
   where ${match('o')}
  returning k.hv_at${was}
)${staged.map((sql) => `, ${sql}`).join('')}
select count(*)::int as n from changed`;
  }
  const set = childColumns.map(
    (name, n) => `${quoteIdentifier(name)} = ${action === 'null' ? 'null' : `k.hv_new${n}`}`,
  );
  return `with changed as (
  update ${place} t
     set ${set.join(', ')}
    from ${statement.stage} k
    join ${place} o
      on ${match('o')}
   where t.ctid = o.ctid
  returning k.hv_at${was}${is}
)${staged.map((sql) => `, ${sql}`).join('')}
select count(*)::int as n from changed`;
}

/** Rows copied after the change show it already. */
function copiedBefore({ all, column, ranges }: CopiedAt, row: string): string {
  if (column === null || ranges.length === 0) return `k.hv_at >= ${all}`;
  const name = `${row}.${quoteIdentifier(column)}`;
  const cases = ranges.map(({ ordinal }, n) => {
    const next = ranges[n + 1];
    return next === undefined ? `else ${ordinal}` : `when ${name} < ${next.from} then ${ordinal}`;
  });
  return `k.hv_at >= case when ${name} < ${ranges[0]!.from} then ${all} ${cases.join(' ')} end`;
}

function returned(onward: readonly OnwardStage[], row: string, prefix: string): string {
  const names = new Set(onward.flatMap(({ link }) => link.parentColumns));
  return [...names]
    .map((name) => `, ${row}.${quoteIdentifier(name)} as ${quoteIdentifier(`${prefix}_${name}`)}`)
    .join('');
}

function keyOf({ parentColumns }: CascadeLink, prefix: string): string {
  return parentColumns.map((name) => quoteIdentifier(`${prefix}_${name}`)).join(', ');
}
