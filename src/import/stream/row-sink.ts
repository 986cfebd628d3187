import { unescapeField } from '../copy-text/fields.ts';
import { settleLine } from '../mapping/settle-values.ts';
import type { Destination } from '../route/router.ts';
import type { AlteredValue, Batch, RowEntry } from './batch.ts';
import { CascadeNotes, type RowKeys } from './cascade-notes.ts';
import { fillUnchanged } from './fill-unchanged.ts';
import { findFields, keyText, NO_KEYS, tuple } from './line-fields.ts';
import type { LineLayout } from './line-layout.ts';

/** Decodes the next row image to the end of the batch's lines and tells where each field ends. */
export type DecodeRow = () => Int32Array;

/** A row image in the batch: where its line is, its key, and where it goes. */
interface PlacedRow extends RowKeys {
  readonly start: number;
  readonly end: number;
  readonly key: string;
  readonly destinations: readonly Destination[];
  /** Whether the copied rows do not show this change yet. */
  readonly isNews: boolean;
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
  readonly cascades = new CascadeNotes();
  readonly #applied: ReadonlyMap<string, bigint>;

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
    this.cascades.keepOrder(batch, layout, 'insert', null, row);
    this.#appear(batch, layout, row);
  }

  /** @param oldLayout - of the old image, of which only some columns are decoded */
  remove(batch: Batch, oldLayout: LineLayout, decodeOld: DecodeRow, layout: LineLayout): void {
    const row = this.#place(batch, oldLayout, decodeOld, false);
    batch.changes += 1;
    if (row.isNews && !layout.table.skipEvents.has('delete')) {
      this.cascades.keepOrder(batch, layout, 'delete', row, null);
      this.#vanish(batch, layout, row);
    }
    if (layout.key.length > 0) batch.lines.length = row.start;
    this.cascades.note(batch, layout, this.transactionStart, row, null);
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
      this.cascades.keepOrder(batch, layout, 'update', old, row);
      this.#replace(batch, layout, old, row, lacks);
    }
    this.cascades.note(batch, layout, this.transactionStart, old, row);
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
    const replaces = this.cascades.affects(batch, table);
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
      references: cascades === null ? NO_KEYS : cascades.references.map(({ fields }) => tuple(fields, field)),
      foreignKeys:
        cascades === null || !isNew ? NO_KEYS : cascades.foreignKeys.map(({ fields }) => tuple(fields, field)),
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
