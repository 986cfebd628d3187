import { unescapeField } from '../copy-text/fields.ts';
import { settleLine } from '../mapping/settle-values.ts';
import type { Destination } from '../route/router.ts';
import type { AlteredValue, Batch } from './batch.ts';
import type { LineLayout } from './line-layout.ts';

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
}

/**
 * Puts row changes into a batch: settles values that fit nowhere, finds the key and the destinations, leaves out what
 * the initial copy has seen already, and moves rows whose routing key changed.
 */
export class RowSink {
  /** Where the source transaction in hand begins. */
  transactionStart = 0n;
  readonly #applied: ReadonlyMap<string, bigint>;

  /**
   * @param applied - how far each server is, when they are not all at the place where reading begins: after a crash
   *   between the commits of two servers
   */
  constructor(applied: ReadonlyMap<string, bigint> = new Map()) {
    this.#applied = applied;
  }

  /** Whether a server has the transaction in hand already. */
  hasApplied(server: string): boolean {
    return this.#applied.size > 0 && this.transactionStart < (this.#applied.get(server) ?? 0n);
  }

  insert(batch: Batch, layout: LineLayout, decode: DecodeRow): void {
    const row = this.#place(batch, layout, decode, true);
    batch.changes += 1;
    if (row.isNews) this.#appear(batch, layout, row);
  }

  /** @param oldLayout - of the old image, of which only some columns are decoded */
  remove(batch: Batch, oldLayout: LineLayout, decodeOld: DecodeRow, layout: LineLayout): void {
    const row = this.#place(batch, oldLayout, decodeOld, false);
    batch.changes += 1;
    if (row.isNews) this.#vanish(batch, layout, row);
    if (layout.key.length > 0) batch.lines.length = row.start;
  }

  /** @param oldLayout - of the old image, of which only some columns are decoded */
  update(batch: Batch, oldLayout: LineLayout, decodeOld: DecodeRow, layout: LineLayout, decodeNew: DecodeRow): void {
    const old = this.#place(batch, oldLayout, decodeOld, false);
    if (layout.key.length > 0) batch.lines.length = old.start;
    const row = this.#place(batch, layout, decodeNew, true);
    batch.changes += 1;
    const stays = layout.key.length > 0 && old.key === row.key && old.destinations[0] === row.destinations[0];
    if (stays && old.isNews && row.isNews) {
      for (const destination of row.destinations) {
        if (this.hasApplied(destination.server)) continue;
        batch.changesOf(layout.table, destination, layout.columns).update(row.key, row.start, row.end);
      }
      return;
    }
    if (old.isNews) this.#vanish(batch, layout, old);
    if (row.isNews) this.#appear(batch, layout, row);
  }

  #appear(batch: Batch, { table, columns, key }: LineLayout, row: PlacedRow): void {
    for (const destination of row.destinations) {
      if (this.hasApplied(destination.server)) continue;
      const changes = batch.changesOf(table, destination, columns);
      if (key.length === 0) changes.count(row.key, row.start, row.end, 1);
      else changes.insert(row.key, row.start, row.end);
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
    return { start, end, key: keyText(layout, lines.bytes, start, end, ends), destinations, isNews };
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
