import type { ForeignKeyAction, SourceForeignKey } from '../model/source-table.ts';
import { qualifiedName } from '../model/source-table.ts';
import type { FollowedTable } from './followed-table.ts';

/** What a foreign key does to the rows of its table: they go away, lose their reference, or take the parent's new key. */
export type CascadeAction = 'delete' | 'null' | 'follow';

/** What happened to the parent's row. */
export type CascadeCause = 'delete' | 'update';

/** A foreign key that changes rows by itself. Its source logs only the parent's change. */
export interface CascadeLink {
  readonly name: string;
  readonly parentId: number;
  readonly child: FollowedTable;
  readonly parentColumns: readonly string[];
  readonly childColumns: readonly string[];
  readonly onDelete: CascadeAction | null;
  readonly onUpdate: CascadeAction | null;
  /** Both tables are routed by columns of the same names: a row and the rows that refer to it are in the same shard. */
  readonly beside: boolean;
}

/** A link that a change of a parent's row sets to work, directly or through rows between. */
export interface ReachedLink {
  readonly link: CascadeLink;
  readonly action: CascadeAction;
  /** Reached through rows that only the target knows, not through the row that was logged. */
  readonly onward: boolean;
}

/** The foreign keys with CASCADE or SET NULL between the tables that are followed. */
export class CascadeLinks {
  readonly all: readonly CascadeLink[];
  readonly #tables: ReadonlyMap<number, FollowedTable>;

  constructor(tables: Iterable<FollowedTable>) {
    const followed = [...tables];
    this.#tables = new Map(followed.map((table) => [table.id, table]));
    this.all = followed.flatMap((child) =>
      child.source.foreignKeys.flatMap((key) => {
        const parent = parentOf(key, followed);
        const link = parent === undefined ? null : linkOf(key, parent, child);
        return link === null ? [] : [link];
      }),
    );
  }

  from(parentId: number): readonly CascadeLink[] {
    return this.all.filter((link) => link.parentId === parentId);
  }

  into(childId: number): readonly CascadeLink[] {
    return this.all.filter(({ child }) => child.id === childId);
  }

  /** The links that a change of a row works on, nearest first. @param columns - the key that went away or changed */
  reached(parentId: number, columns: readonly string[], cause: CascadeCause): ReachedLink[] {
    const found = new Map<string, ReachedLink>();
    const walk = (links: readonly CascadeLink[], why: CascadeCause, onward: boolean): void => {
      for (const link of links) {
        const action = actionOf(link, why);
        const id = `${link.child.id} ${link.name} ${why}`;
        if (action === null || found.has(id)) continue;
        found.set(id, { link, action, onward });
        walk(onwardLinks(this.from(link.child.id), link, action), action === 'delete' ? 'delete' : 'update', true);
      }
    };
    walk(
      this.from(parentId).filter((link) => sameNames(link.parentColumns, columns)),
      cause,
      false,
    );
    return [...found.values()];
  }

  /** Why what a link does cannot be done in the target; `null` when it can. */
  problem({ link, action, onward }: ReachedLink): string | null {
    const { child, childColumns, parentColumns } = link;
    const parent = this.#tables.get(link.parentId)!;
    const name = qualifiedName(parent.source);
    for (const [index, column] of childColumns.entries()) {
      const mine = child.target.columns.find((candidate) => candidate.name === column);
      const theirs = parent.target.columns.find((candidate) => candidate.name === parentColumns[index]);
      if (mine === undefined || theirs === undefined || mine.form !== theirs.form || mine.enumeration !== null)
        return `its column ${column} and the key of ${name} have different types in the target`;
    }
    if (action !== 'delete') {
      if (child.router.kind === 'by-key' && meet(child.router.columns, childColumns))
        return `its rows would change their shards with ${name}`;
      const computed = child.source.columns.find(
        ({ generated }) => generated !== null && childColumns.some((column) => generated.includes(column)),
      );
      if (computed !== undefined)
        return `its generated column ${computed.name} changes with ${childColumns.join(', ')}`;
    }
    if (onward && !link.beside && !knowsAll(parent, child))
      return `its rows may be on another server than those of ${name}`;
    return null;
  }
}

/** The links of a table whose rows were changed by another link. */
export function onwardLinks(
  links: readonly CascadeLink[],
  { childColumns }: CascadeLink,
  action: CascadeAction,
): readonly CascadeLink[] {
  return action === 'delete' ? links : links.filter(({ parentColumns }) => meet(parentColumns, childColumns));
}

/** What a link does for a cause; `null` for nothing, also when the child's changes of that kind are left out. */
export function actionOf({ child, onDelete, onUpdate }: CascadeLink, cause: CascadeCause): CascadeAction | null {
  const action = cause === 'delete' ? onDelete : onUpdate;
  return action === null || child.skipEvents.has(action === 'delete' ? 'delete' : 'update') ? null : action;
}

export function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, index) => name === b[index]);
}

export function meet(a: readonly string[], b: readonly string[]): boolean {
  return a.some((name) => b.includes(name));
}

function linkOf(key: SourceForeignKey, parent: FollowedTable, child: FollowedTable): CascadeLink | null {
  const onDelete = asAction(key.onDelete, 'delete');
  const onUpdate = asAction(key.onUpdate, 'follow');
  if (onDelete === null && onUpdate === null) return null;
  const [mine, theirs] = [child.router, parent.router];
  return {
    name: key.name,
    parentId: parent.id,
    child,
    parentColumns: key.parentColumns.map((name) => nameIn(parent, name)),
    childColumns: key.columns.map((name) => nameIn(child, name)),
    onDelete,
    onUpdate,
    beside: mine.kind === 'by-key' && theirs.kind === 'by-key' && sameNames(mine.columns, theirs.columns),
  };
}

function asAction(action: ForeignKeyAction, cascade: CascadeAction): CascadeAction | null {
  if (action === 'cascade') return cascade;
  return action === 'set null' ? 'null' : null;
}

/** Statements may write names in other cases than the table has them. */
function nameIn({ source }: FollowedTable, name: string): string {
  const found = source.columns.find((column) => column.name.toLowerCase() === name.toLowerCase());
  return found?.name ?? name;
}

function parentOf(key: SourceForeignKey, tables: readonly FollowedTable[]): FollowedTable | undefined {
  const named = tables.find(({ source }) => source.schema === key.parentSchema && source.name === key.parentTable);
  if (named !== undefined) return named;
  const lower = `${key.parentSchema}.${key.parentTable}`.toLowerCase();
  return tables.find(({ source }) => qualifiedName(source).toLowerCase() === lower);
}

/** Whether each server that has rows of the child has all rows of the parent. */
function knowsAll(parent: FollowedTable, child: FollowedTable): boolean {
  const serversOf = ({ router }: FollowedTable): Set<string> =>
    new Set(router.destinations.map(({ server }) => server));
  const [parents, children] = [serversOf(parent), serversOf(child)];
  if (![...children].every((server) => parents.has(server))) return false;
  return parent.router.kind === 'fixed' || parents.size === 1;
}
