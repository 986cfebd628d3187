import { isNullField, unescapeField } from '../copy-text/fields.ts';
import { settleLine } from '../mapping/settle-values.ts';
import type { Destination } from '../route/router.ts';
import type { AlteredValue, Batch, RowEntry } from './batch.ts';
import { fillUnchanged } from './fill-unchanged.ts';
import type { FollowedTable } from './followed-table.ts';
import type { LineLayout } from './line-layout.ts';
import { PendingCascades, type RowChange } from './pending-cascades.ts';

const TAB = 0x09;

/** Decodes the next row image to the end of the batch's lines and tells where each field ends. */
export type DecodeRow = () => Int32Array;

/** A row image in the batch: where its line is, its key, and where it goes. */
interface PlacedRow {
  readonly start: number;
  readonly end: number;
  readonly key: string;
  readonly destinations: readonly Destination[];
  /** Whether the copied rows do not show this change yet. */
  readonly isNews: boolean;
  /** Keys that other tables refer to, and those it refers to others with, in the layout's order. */
  readonly references: readonly (string | null)[];
  readonly foreignKeys: readonly (string | null)[];
  /** Whether values are missing that did not change. */
  readonly isPartial: boolean;
}

/**
 * Puts row changes into a batch: settles values that fit nowhere, finds the key and the destinations, leaves out what
 * the initial copy has seen already, moves rows whose routing key changed, and notes what foreign keys do to children.
 */
export class RowSink {
  /** Where the source transaction in hand begins. */
  transactionStart = 0n;
  /** Whether the session of the source checked foreign keys, and so let them change children. */
  foreignKeys = true;
  /** Called with a table whose rows a foreign key changes in a way that cannot be followed. */
  onUnfollowable: (table: FollowedTable, reason: Error) => void = () => {};
  readonly #applied: ReadonlyMap<string, bigint>;
  #pending: PendingCascades | undefined;

  /**
   * @param applied - how far each server is, when they are not all at the place where reading begins: after a crash
   *   between the commits of two servers
   */
  constructor(applied: ReadonlyMap<string, bigint> = new Map()) {
    this.#applied = applied;
  }

  /** Whether one of the target's servers has more than a place of the log. */
  isAheadOf(ordinal: bigint): boolean {
    return [...this.#applied.values()].some((applied) => applied > ordinal);
  }

  /** Whether a server has the transaction in hand already. */
  hasApplied(server: string): boolean {
    return this.#applied.size > 0 && this.transactionStart < (this.#applied.get(server) ?? 0n);
  }

  insert(batch: Batch, layout: LineLayout, decode: DecodeRow): void {
    const row = this.#place(batch, layout, decode, true);
    batch.changes += 1;
    if (!row.isNews || layout.table.skipEvents.has('insert')) return;
    this.#keepOrder(batch, layout, 'insert', null, row);
    this.#appear(batch, layout, row);
  }

  /** @param oldLayout - of the old image, of which only some columns are decoded */
  remove(batch: Batch, oldLayout: LineLayout, decodeOld: DecodeRow, layout: LineLayout): void {
    const row = this.#place(batch, oldLayout, decodeOld, false);
    batch.changes += 1;
    if (row.isNews && !layout.table.skipEvents.has('delete')) {
      this.#keepOrder(batch, layout, 'delete', row, null);
      this.#vanish(batch, layout, row);
    }
    if (layout.key.length > 0) batch.lines.length = row.start;
    this.#cascade(batch, layout, row, null);
  }

  /** @param oldLayout - of the old image, of which only some columns are decoded */
  update(batch: Batch, oldLayout: LineLayout, decodeOld: DecodeRow, layout: LineLayout, decodeNew: DecodeRow): void {
    const old = this.#place(batch, oldLayout, decodeOld, false);
    if (layout.key.length > 0) batch.lines.length = old.start;
    let row = this.#place(batch, layout, decodeNew, true);
    batch.changes += 1;
    let lacks: string | undefined;
    if (row.isPartial) [row, lacks] = this.#complete(batch, layout, old, row);
    if (!layout.table.skipEvents.has('update')) {
      this.#keepOrder(batch, layout, 'update', old, row);
      this.#replace(batch, layout, old, row, lacks);
    }
    this.#cascade(batch, layout, old, row);
  }

  #replace(batch: Batch, layout: LineLayout, old: PlacedRow, row: PlacedRow, lacks?: string): void {
    const stays = layout.key.length > 0 && old.key === row.key && old.destinations[0] === row.destinations[0];
    if (stays && old.isNews && row.isNews) {
      for (const destination of row.destinations) {
        if (this.hasApplied(destination.server)) continue;
        const changes = batch.changesOf(layout.table, destination, layout.columns);
        changes.update(row.key, row.start, row.end);
        if (lacks !== undefined) changes.entries.get(row.key)!.lacks = lacks;
      }
      return;
    }
    if (old.isNews) this.#vanish(batch, layout, old);
    if (row.isNews) this.#appear(batch, layout, row);
    if (lacks === undefined || !row.isNews) return;
    for (const destination of row.destinations) {
      if (this.hasApplied(destination.server)) continue;
      batch.changesOf(layout.table, destination, layout.columns).entries.get(row.key)!.lacks = lacks;
    }
  }

  /**
   * Takes the values that the log did not repeat from the row's earlier version in the batch. When there is none they
   * are in the target, under the old key: the second result says so.
   */
  #complete(
    batch: Batch,
    layout: LineLayout,
    old: PlacedRow,
    row: PlacedRow,
  ): [row: PlacedRow, lacks: string | undefined] {
    const destination = old.destinations.find(({ server }) => !this.hasApplied(server));
    if (destination === undefined) return [row, undefined];
    const changes = batch.changesOf(layout.table, destination, layout.columns);
    const known: RowEntry | undefined = changes.entries.get(old.key);
    if (old.destinations[0] !== row.destinations[0] && (known === undefined || known.lacks !== undefined)) {
      throw new Error(
        'a row with a large value moved to another shard, and the log does not repeat the value: set the replica identity of the table to full',
      );
    }
    if (known === undefined || known.end < 0) return [row, old.key];
    const { lines } = batch;
    const filled = fillUnchanged(lines.view(row.start, row.end), lines.view(known.start, known.end));
    const start = lines.length;
    lines.raw(filled);
    return [{ ...row, start, end: lines.length }, known.lacks];
  }

  #appear(batch: Batch, { table, columns, key }: LineLayout, row: PlacedRow): void {
    const replaces = this.#pendingIn(batch)?.affects(table) ?? false;
    for (const destination of row.destinations) {
      if (this.hasApplied(destination.server)) continue;
      const changes = batch.changesOf(table, destination, columns);
      if (key.length === 0) changes.count(row.key, row.start, row.end, 1);
      else changes.insert(row.key, row.start, row.end, replaces);
    }
  }

  #vanish(batch: Batch, { table, columns, key }: LineLayout, row: PlacedRow): void {
    for (const destination of row.destinations) {
      if (this.hasApplied(destination.server)) continue;
      const changes = batch.changesOf(table, destination, columns);
      if (key.length === 0) changes.count(row.key, row.start, row.end, -1);
      else changes.remove(row.key);
    }
  }

  /** Begins a new round when the change must not be mixed with the cascades that wait at the end of this one. */
  #keepOrder(
    batch: Batch,
    { table, cascades }: LineLayout,
    kind: RowChange['kind'],
    old: PlacedRow | null,
    row: PlacedRow | null,
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
  #cascade(batch: Batch, { table, cascades }: LineLayout, old: PlacedRow, row: PlacedRow | null): void {
    if (cascades === null || !this.foreignKeys) return;
    for (const [index, { columns }] of cascades.references.entries()) {
      const [was, is] = [old.references[index] ?? null, row?.references[index] ?? null];
      if (was === null || was === is) continue;
      const { reached, problems } = cascades.reach.of(table.id, columns, row === null ? 'delete' : 'update');
      if (reached.length === 0) continue;
      const at = this.transactionStart;
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

  #place(batch: Batch, layout: LineLayout, decode: DecodeRow, isNew: boolean): PlacedRow {
    const { lines } = batch;
    const { table, columns } = layout;
    const start = lines.length;
    const ends = decode();
    const isPartial = lines.hasUnchanged;
    lines.hasUnchanged = false;
    let replaced: readonly AlteredValue[] = [];
    if (lines.hasNul) {
      lines.hasNul = false;
      const { line, altered } = settleLine(lines.view(start), { ...table.target, source: table.source }, columns);
      if (isNew) replaced = altered;
      lines.length = start;
      lines.raw(line);
      findFields(ends, line, start);
    }
    const end = lines.length;
    const field = (index: number): Buffer => lines.view(index === 0 ? start : ends[index - 1]! + 1, ends[index]);
    const destinations =
      table.router.kind === 'fixed'
        ? table.router.destinations
        : [table.router.route(layout.route.map((index) => unescapeField(field(index))))];
    const isNews = this.#isNews(layout, field);
    const { server } = destinations[0]!;
    if (isNews && !this.hasApplied(server)) {
      for (const value of replaced) batch.altered.push({ ...value, tableId: table.id, server });
    }
    const { cascades } = layout;
    return {
      start,
      end,
      key: keyText(layout, lines.bytes, start, end, ends),
      destinations,
      isNews,
      isPartial,
      references: cascades === null ? NONE : cascades.references.map(({ fields }) => tuple(fields, field)),
      foreignKeys: cascades === null || !isNew ? NONE : cascades.foreignKeys.map(({ fields }) => tuple(fields, field)),
    };
  }

  #isNews({ table, range }: LineLayout, field: (index: number) => Buffer): boolean {
    const { copiedAt } = table;
    if (range < 0) return this.transactionStart >= copiedAt.all;
    const value = BigInt(field(range).toString('latin1'));
    let ordinal = copiedAt.all;
    for (const { from, ordinal: later } of copiedAt.ranges) {
      if (value < from) break;
      ordinal = later;
    }
    return this.transactionStart >= ordinal;
  }
}

const NONE: readonly (string | null)[] = [];

/** Fields joined by tabs; `null` when one of them is NULL, for then nothing refers to the row. */
function tuple(fields: readonly number[], field: (index: number) => Buffer): string | null {
  const parts = fields.map(field);
  return parts.some(isNullField) ? null : parts.map((part) => part.toString('latin1')).join('\t');
}

function nulls(columns: readonly string[]): string {
  return columns.map(() => '\\N').join('\t');
}

function keyText({ key }: LineLayout, bytes: Buffer, start: number, end: number, ends: Int32Array): string {
  if (key.length === 0) return bytes.toString('latin1', start, end);
  let text = '';
  for (let index = 0; index < key.length; index++) {
    const field = key[index]!;
    const part = bytes.toString('latin1', field === 0 ? start : ends[field - 1]! + 1, ends[field]);
    text = index === 0 ? part : `${text}\t${part}`;
  }
  return text;
}

function findFields(ends: Int32Array, line: Buffer, start: number): void {
  let field = 0;
  for (let at = line.indexOf(TAB); at !== -1; at = line.indexOf(TAB, at + 1)) ends[field++] = start + at;
  ends[field] = start + line.length;
}
