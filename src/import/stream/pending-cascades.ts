import type { RoundCascades, RowsRound } from './batch.ts';
import { type CascadeCause, type CascadeLink, type CascadeLinks, meet, type ReachedLink } from './cascade-links.ts';
import type { FollowedTable } from './followed-table.ts';

/** What may no longer happen to a table's rows in a round that ends with cascades into it. Each includes those before. */
const FREE = 0;
const NO_NEW_ROWS = 1;
const NO_NEW_VERSIONS = 2;
const NOTHING = 3;

/** A change of a row, as far as cascades that wait are concerned. Keys are COPY fields joined by tabs. */
export interface RowChange {
  readonly table: FollowedTable;
  readonly kind: 'insert' | 'update' | 'delete';
  /** The values others refer to, by their columns: before and after. */
  readonly references: readonly { readonly id: string; readonly old: string | null; readonly new: string | null }[];
  /** The values with which the new row refers to others. */
  readonly foreignKeys: readonly { readonly id: string; readonly value: string }[];
}

/**
 * The cascades at the end of a round of rows, while it is being filled.
 *
 * They run after all rows of the round, on what the target then has. That is the same as running each in its place
 * as long as no later change of the round brings a row back that an earlier cascade is meant for, or one that it would
 * meet by mistake. A change of which this cannot be said belongs into a new round ({@link conflicts}).
 */
export class PendingCascades {
  readonly round: RowsRound;
  readonly #cascades: RoundCascades;
  readonly #levels = new Map<number, number>();
  readonly #old = new Map<string, Set<string>>();
  readonly #new = new Map<string, Set<string>>();

  constructor(round: RowsRound, links: readonly CascadeLink[]) {
    this.#cascades = { links, steps: [] };
    this.round = round;
    round.cascades = this.#cascades;
  }

  /** Whether rows of a table may be in the target although their end was read in this round. */
  affects(table: FollowedTable): boolean {
    return this.#levels.has(table.id);
  }

  conflicts({ table, kind, references, foreignKeys }: RowChange): boolean {
    const level = this.#levels.get(table.id);
    if (level !== undefined) {
      const moved = references.some((key) => key.new !== null && key.new !== key.old);
      const least = kind === 'delete' ? NOTHING : kind === 'update' && !moved ? NO_NEW_VERSIONS : NO_NEW_ROWS;
      if (level >= least) return true;
    }
    return (
      references.some(
        (key) =>
          (key.new !== null && key.new !== key.old && this.#old.get(key.id)?.has(key.new)) ||
          (kind === 'update' && key.old !== null && key.new !== key.old && this.#new.get(key.id)?.has(key.old)),
      ) || foreignKeys.some(({ id, value }) => this.#old.get(id)?.has(value))
    );
  }

  /** @param reached - the links that the change sets to work */
  add(
    parentId: number,
    columns: readonly string[],
    change: { readonly old: string; readonly new: string | null; readonly at: bigint },
    reached: readonly ReachedLink[],
  ): void {
    const id = referenceId(parentId, columns);
    put(this.#old, id, change.old);
    if (change.new !== null) put(this.#new, id, change.new);
    for (const each of reached) {
      const { child } = each.link;
      this.#levels.set(child.id, Math.max(this.#levels.get(child.id) ?? FREE, levelOf(each, reached)));
    }
    this.#stepFor(parentId, columns, change.new === null ? 'delete' : 'update').keys.push(change);
  }

  /** Deletions can change places with each other, while keys that change have to do so in their order. */
  #stepFor(parentId: number, columns: readonly string[], cause: CascadeCause): RoundCascades['steps'][number] {
    const { steps } = this.#cascades;
    const id = referenceId(parentId, columns);
    for (let index = steps.length - 1; index >= 0; index--) {
      const step = steps[index]!;
      if (step.cause === cause && referenceId(step.parentId, step.columns) === id) return step;
      if (cause === 'update' || step.cause === 'update') break;
    }
    const step: RoundCascades['steps'][number] = { parentId, columns, cause, keys: [] };
    steps.push(step);
    return step;
  }
}

/** Names the columns of a table that others refer to. */
export function referenceId(parentId: number, columns: readonly string[]): string {
  return `${parentId}\0${columns.join('\0')}`;
}

function levelOf({ link, action }: ReachedLink, reached: readonly ReachedLink[]): number {
  const { child, childColumns } = link;
  const { identity, indexes } = child.target;
  if (identity.kind === 'whole-row' || child.copiedAt.ranges.length > 0) return NOTHING;
  if (action !== 'delete' && meet(identity.columns, childColumns)) return NOTHING;
  const key = new Set(identity.columns);
  const others = indexes.some(
    ({ unique, columns }) => unique && !(columns.length === key.size && columns.every(({ name }) => key.has(name))),
  );
  if (others) return NO_NEW_VERSIONS;
  return reached.some((other) => other.link.parentId === child.id) ? NO_NEW_ROWS : FREE;
}

function put(map: Map<string, Set<string>>, id: string, value: string): void {
  const set = map.get(id);
  if (set === undefined) map.set(id, new Set([value]));
  else set.add(value);
}

/** The links that a change reaches, and why some of them cannot be followed. Remembered, for changes come by thousands. */
export class CascadeReach {
  readonly links: CascadeLinks;
  readonly #known = new Map<string, Reach>();

  constructor(links: CascadeLinks) {
    this.links = links;
  }

  of(parentId: number, columns: readonly string[], cause: CascadeCause): Reach {
    const id = `${cause} ${referenceId(parentId, columns)}`;
    let reach = this.#known.get(id);
    if (reach === undefined) {
      const reached = this.links.reached(parentId, columns, cause);
      reach = { reached, problems: this.#problems(reached) };
      this.#known.set(id, reach);
    }
    return reach;
  }

  #problems(reached: readonly ReachedLink[]): Reach['problems'] {
    return reached.flatMap((each): Reach['problems'] => {
      const table = each.link.child;
      const problem = this.links.problem(each);
      if (problem !== null)
        return [{ table, reason: `${each.link.name} cannot be followed: ${problem}`, from: 0n, to: null }];
      if (!each.onward) return [];
      // Rows between that were copied after their end no longer say which rows of this table went with them
      const between = reached.filter(({ link }) => link.child.id === each.link.parentId).map(({ link }) => link.child);
      const [from, to] = [firstCopied(table), between.map(lastCopied).reduce((a, b) => (a > b ? a : b), 0n)];
      if (to <= from) return [];
      const reason = `${each.link.name} cannot be followed: it was copied before the table it refers to; copy it again`;
      return [{ table, reason, from, to }];
    });
  }
}

export interface Reach {
  readonly reached: readonly ReachedLink[];
  /** Tables that cannot be followed when the change stands at `from` or later, and before `to`. */
  readonly problems: readonly {
    readonly table: FollowedTable;
    readonly reason: string;
    readonly from: bigint;
    readonly to: bigint | null;
  }[];
}

function firstCopied({ copiedAt }: FollowedTable): bigint {
  return copiedAt.ranges.reduce((first, { ordinal }) => (ordinal < first ? ordinal : first), copiedAt.all);
}

function lastCopied({ copiedAt }: FollowedTable): bigint {
  return copiedAt.ranges.reduce((last, { ordinal }) => (ordinal > last ? ordinal : last), copiedAt.all);
}
