import type { FollowedTable } from '../../stream/followed-table.ts';
import { type LineLayout, lineLayout, oldImageColumns } from '../../stream/line-layout.ts';
import type { CascadeReach } from '../../stream/pending-cascades.ts';
import type { Charsets } from '../charsets.ts';
import type { PacketReader } from './packet-reader.ts';
import { RowDecoder } from './row-decoder.ts';
import { parseTableMap, type TableMap, tableOfMap } from './table-map.ts';

/** A table as the last TABLE_MAP event with its id described it, with the decoders for its rows. */
export interface TableShape {
  readonly map: TableMap;
  readonly table: FollowedTable;
  readonly whole: RowDecoder;
  readonly layout: LineLayout;
  readonly old: RowDecoder;
  readonly oldLayout: LineLayout;
}

interface KnownShape {
  readonly bytes: Buffer;
  readonly shape: TableShape | null;
  readonly table: FollowedTable | null;
  readonly cascades: CascadeReach | null;
}

/**
 * The shapes of the tables in the binlog, by table id. A TABLE_MAP event stands before each statement's rows, nearly
 * always the same as the one before: it is parsed only when its bytes differ, or when the followed table changed.
 */
export class TableShapes {
  readonly #charsets: Charsets;
  readonly #mariadb: boolean;
  readonly #cascades: () => CascadeReach | null;
  readonly #known = new Map<number, KnownShape>();

  /** @param options.cascades - the foreign keys whose actions are in no log, as they are now */
  constructor(charsets: Charsets, { mariadb, cascades }: { mariadb: boolean; cascades: () => CascadeReach | null }) {
    this.#charsets = charsets;
    this.#mariadb = mariadb;
    this.#cascades = cascades;
  }

  /**
   * Takes a TABLE_MAP event.
   * @param find - the followed table of that name, `null` when nobody follows it
   */
  learn(body: PacketReader, find: (schema: string, name: string) => FollowedTable | null): void {
    const id = body.bytes.readUIntLE(body.at, 6);
    const bytes = body.bytes.subarray(body.at, body.end);
    const known = this.#known.get(id);
    const { schema, name } = tableOfMap(bytes);
    const table = find(schema, name);
    const cascades = this.#cascades();
    if (known?.table === table && known.cascades === cascades && known.bytes.equals(bytes)) return;
    // Kept for as long as the shape is current, while the packet's buffer is one of many
    const copy = Buffer.from(bytes);
    const shape = table === null ? null : this.#shape(table, body, cascades);
    this.#known.set(id, { bytes: copy, shape, table, cascades });
  }

  /** The shape for the rows of a table id; `null` when nobody follows the table. */
  of(tableId: number): TableShape | null {
    return this.#known.get(tableId)?.shape ?? null;
  }

  #shape(table: FollowedTable, body: PacketReader, cascades: CascadeReach | null): TableShape {
    const map = parseTableMap(body, { mariadb: this.#mariadb });
    const whole = new RowDecoder(map, table.target, this.#charsets);
    const only = oldImageColumns(table, cascades);
    const old = new RowDecoder(map, table.target, this.#charsets, only);
    return {
      map,
      table,
      whole,
      layout: lineLayout(table, whole.columns, cascades),
      old,
      oldLayout: lineLayout(table, old.columns, cascades),
    };
  }
}
