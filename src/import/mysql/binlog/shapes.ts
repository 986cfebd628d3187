import type { FollowedTable } from '../../stream/followed-table.ts';
import { type LineLayout, lineLayout, oldImageColumns } from '../../stream/line-layout.ts';
import type { Charsets } from '../charsets.ts';
import type { PacketReader } from './packet-reader.ts';
import { RowDecoder } from './row-decoder.ts';
import { parseTableMap, type TableMap } from './table-map.ts';

/** A table as the last TABLE_MAP event with its id described it, with the decoders for its rows. */
export interface TableShape {
  readonly map: TableMap;
  readonly table: FollowedTable;
  readonly whole: RowDecoder;
  readonly layout: LineLayout;
  readonly old: RowDecoder;
  readonly oldLayout: LineLayout;
}

/**
 * The shapes of the tables in the binlog, by table id. A TABLE_MAP event stands before each statement's rows, nearly
 * always the same as the one before: it is parsed only when its bytes differ, or when the followed table changed.
 */
export class TableShapes {
  readonly #charsets: Charsets;
  readonly #mariadb: boolean;
  readonly #known = new Map<
    number,
    { bytes: Buffer; shape: TableShape | null; name: string; table: FollowedTable | null }
  >();

  constructor(charsets: Charsets, { mariadb }: { mariadb: boolean }) {
    this.#charsets = charsets;
    this.#mariadb = mariadb;
  }

  /**
   * Takes a TABLE_MAP event.
   * @param find - the followed table of that name, `null` when nobody follows it
   */
  learn(body: PacketReader, find: (schema: string, name: string) => FollowedTable | null): void {
    const id = body.bytes.readUIntLE(body.at, 6);
    const bytes = body.bytes.subarray(body.at, body.end);
    const known = this.#known.get(id);
    const schemaLength = bytes[8]!;
    const schema = bytes.toString('utf8', 9, 9 + schemaLength);
    const nameLength = bytes[10 + schemaLength]!;
    const name = bytes.toString('utf8', 11 + schemaLength, 11 + schemaLength + nameLength);
    const table = find(schema, name);
    if (known !== undefined && known.table === table && known.bytes.equals(bytes)) return;
    // Kept for as long as the shape is current, while the packet's buffer is one of many
    const copy = Buffer.from(bytes);
    const shape = table === null ? null : this.#shape(table, body);
    this.#known.set(id, { bytes: copy, shape, name: `${schema}.${name}`, table });
  }

  /** The shape for the rows of a table id; `null` when nobody follows the table. */
  of(tableId: number): TableShape | null {
    return this.#known.get(tableId)?.shape ?? null;
  }

  #shape(table: FollowedTable, body: PacketReader): TableShape {
    const map = parseTableMap(body, { mariadb: this.#mariadb });
    const whole = new RowDecoder(map, table.target, this.#charsets);
    const only = oldImageColumns(table);
    const old = new RowDecoder(map, table.target, this.#charsets, only);
    return {
      map,
      table,
      whole,
      layout: lineLayout(table, whole.columns),
      old,
      oldLayout: lineLayout(table, old.columns),
    };
  }
}
