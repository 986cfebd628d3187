import type { LineBuffer } from '../../copy-text/line-buffer.ts';
import type { FollowedTable } from '../../stream/followed-table.ts';
import { type LineLayout, lineLayout, oldImageColumns } from '../../stream/line-layout.ts';
import { FIELD, type Relation, type RowImages, Tuple } from './pgoutput.ts';

/** How rows of one table are turned into lines, until its next relation message. */
export class TableShape {
  readonly table: FollowedTable;
  readonly images: RowImages;
  readonly layout: LineLayout;
  readonly oldLayout: LineLayout;
  /** Places of the lines' columns in the tuples. */
  readonly #fields: readonly number[];
  readonly #oldFields: readonly number[];
  /** Which of the old fields are never NULL. */
  readonly #required: readonly boolean[];
  readonly #ends: Int32Array;

  /** @throws Error when the log does not tell enough of the table's rows */
  constructor(relation: Relation, table: FollowedTable) {
    this.table = table;
    const { columns } = relation;
    this.images = { before: new Tuple(columns.length), after: new Tuple(columns.length) };
    const wanted = new Set(
      table.target.columns.filter(({ generated }) => generated === null).map((column) => column.name),
    );
    const old = oldImageColumns(table);
    const fields = columns.flatMap(({ name }, index) => (wanted.has(name) ? [index] : []));
    const oldFields = old === undefined ? fields : fields.filter((index) => old.includes(columns[index]!.name));
    refuseBlindness(relation, old);
    this.#fields = fields;
    this.#oldFields = oldFields;
    this.#required = oldFields.map((index) =>
      table.source.columns.some(({ name, nullable }) => name === columns[index]!.name && !nullable),
    );
    this.#ends = new Int32Array(fields.length);
    this.layout = lineLayout(
      table,
      fields.map((index) => columns[index]!.name),
    );
    this.oldLayout = lineLayout(
      table,
      oldFields.map((index) => columns[index]!.name),
    );
  }

  /** Writes the new version of a row. */
  writeNew(lines: LineBuffer): Int32Array {
    const { before, after } = this.images;
    const fields = this.#fields;
    for (let n = 0; n < fields.length; n++) {
      const field = fields[n]!;
      if (n > 0) lines.tab();
      if (after.kinds[field] !== FIELD.unchanged) writeField(lines, after, field);
      else if (before.present && !before.keyOnly && before.kinds[field] !== FIELD.unchanged)
        writeField(lines, before, field);
      else lines.unchanged();
      this.#ends[n] = lines.length;
    }
    return this.#ends;
  }

  /** Writes what is needed of the old version: without an old image its key and its place did not change. */
  writeOld(lines: LineBuffer): Int32Array {
    const { before, after } = this.images;
    const tuple = before.present ? before : after;
    const fields = this.#oldFields;
    for (let n = 0; n < fields.length; n++) {
      const field = fields[n]!;
      if (n > 0) lines.tab();
      if (tuple.kinds[field] === FIELD.unchanged) throw new Error('its key is too large: the log does not repeat it');
      if (tuple.kinds[field] === FIELD.null && this.#required[n]) {
        throw new Error(
          'the log tells an old row only in part: a partition of it was made with another replica identity; set it to full there too, and copy the table again',
        );
      }
      writeField(lines, tuple, field);
      this.#ends[n] = lines.length;
    }
    return this.#ends;
  }
}

function writeField(lines: LineBuffer, tuple: Tuple, field: number): void {
  if (tuple.kinds[field] === FIELD.null) lines.null();
  else lines.escaped(tuple.bytes, tuple.starts[field]!, tuple.ends[field]!);
}

/** Without these columns a deleted row is not found again. */
function refuseBlindness({ identity, columns }: Relation, needed: readonly string[] | undefined): void {
  if (identity === 'f') return;
  const told = new Set(columns.filter(({ key }) => key).map(({ name }) => name));
  const missing = needed === undefined ? ['any'] : needed.filter((name) => !told.has(name));
  if (missing.length === 0) return;
  throw new Error(
    `the log no longer tells ${needed === undefined ? 'the old rows' : missing.join(', ')} of deleted and changed rows: its replica identity was changed; set it to full and copy it again`,
  );
}
