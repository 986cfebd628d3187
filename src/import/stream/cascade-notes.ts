import type { Batch } from './batch.ts';
import type { FollowedTable } from './followed-table.ts';
import type { LineLayout } from './line-layout.ts';
import { PendingCascades, type RowChange } from './pending-cascades.ts';

/** The keys of a row image, in its layout's order. */
export interface RowKeys {
  /** Those that other tables refer to. */
  readonly references: readonly (string | null)[];
  /** Those with which it refers to others. */
  readonly foreignKeys: readonly (string | null)[];
}

/** Notes in a batch what foreign keys do to the children of rows, and keeps that in order with the rows. */
export class CascadeNotes {
  /** Whether the session of the source checked foreign keys, and so let them change children. */
  foreignKeys = true;
  /** Called with a table whose rows a foreign key changes in a way that cannot be followed. */
  onUnfollowable: (table: FollowedTable, reason: Error) => void = () => {};
  #pending: PendingCascades | undefined;

  /** Whether rows of a table that went away in this round of the batch may still be in the target. */
  affects(batch: Batch, table: FollowedTable): boolean {
    return this.#pendingIn(batch)?.affects(table) ?? false;
  }

  /** Begins a new round when the change must not be mixed with the cascades that wait at the end of this one. */
  keepOrder(
    batch: Batch,
    { table, cascades }: LineLayout,
    kind: RowChange['kind'],
    old: RowKeys | null,
    row: RowKeys | null,
  ): void {
    if (cascades === null) return;
    const pending = this.#pendingIn(batch);
    if (pending === undefined) return;
    const references = cascades.references.map(({ id }, index) => ({
      id,
      old: old?.references[index] ?? null,
      new: row?.references[index] ?? null,
    }));
    const foreignKeys = cascades.foreignKeys.flatMap(({ id }, index) => {
      const value = row?.foreignKeys[index] ?? null;
      return value === null ? [] : [{ id, value }];
    });
    if (pending.conflicts({ table, kind, references, foreignKeys })) batch.beginRound();
  }

  /** Notes what foreign keys do to the children of a row that went away, or whose key changed. */
  note(batch: Batch, { table, cascades }: LineLayout, at: bigint, old: RowKeys, row: RowKeys | null): void {
    if (cascades === null || !this.foreignKeys) return;
    for (const [index, { columns }] of cascades.references.entries()) {
      const [was, is] = [old.references[index] ?? null, row?.references[index] ?? null];
      if (was === null || was === is) continue;
      const { reached, problems } = cascades.reach.of(table.id, columns, row === null ? 'delete' : 'update');
      if (reached.length === 0) continue;
      for (const problem of problems) {
        if (at < problem.from || (problem.to !== null && at >= problem.to)) continue;
        this.onUnfollowable(problem.table, new Error(problem.reason));
      }
      let pending = this.#pendingIn(batch);
      if (pending === undefined) {
        const last = batch.rounds.at(-1);
        const round = last?.kind === 'rows' && last.cascades === null ? last : batch.beginRound();
        pending = new PendingCascades(round, cascades.reach.links.all);
        this.#pending = pending;
      }
      pending.add(table.id, columns, { old: was, new: row === null ? null : (is ?? nulls(columns)), at }, reached);
    }
  }

  /** The cascades of the round in hand. */
  #pendingIn(batch: Batch): PendingCascades | undefined {
    const pending = this.#pending;
    return pending !== undefined && pending.round === batch.rounds.at(-1) ? pending : undefined;
  }
}

function nulls(columns: readonly string[]): string {
  return columns.map(() => '\\N').join('\t');
}
