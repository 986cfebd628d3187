import type { Batch } from '../../stream/batch.ts';
import type { FollowedTable } from '../../stream/followed-table.ts';
import type { RowSink } from '../../stream/row-sink.ts';
import type { PacketReader } from './packet-reader.ts';
import type { ChangeReaderHost, ChangeReaderOptions } from './reader-options.ts';
import { isRowsEvent, PARTIAL_UPDATE_EVENT, parseRowsEvent, TABLE_MAP_EVENT } from './rows-event.ts';
import { TableShapes } from './shapes.ts';
import type { EventHeader } from './transport.ts';

/** Puts the rows of table map and rows events into a batch. A table whose rows cannot be read is set aside. */
export class RowEvents {
  readonly #host: ChangeReaderHost;
  readonly #sink: RowSink;
  readonly #shapes: TableShapes;

  constructor({ host, sink, charsets, mariadb }: ChangeReaderOptions) {
    this.#host = host;
    this.#sink = sink;
    this.#sink.cascades.onUnfollowable = (table, reason) => host.setAside(table, reason);
    this.#shapes = new TableShapes(charsets, { mariadb, cascades: () => host.cascades() });
  }

  take(batch: Batch, type: number, body: PacketReader, header: Pick<EventHeader, 'timestamp'>): void {
    if (type === TABLE_MAP_EVENT) this.#learn(body);
    else if (type === PARTIAL_UPDATE_EVENT) this.#partialUpdate(body);
    else if (isRowsEvent(type)) this.#rows(batch, type, body, header);
  }

  #learn(body: PacketReader): void {
    let followed: FollowedTable | null = null;
    try {
      this.#shapes.learn(body, (schema, name) => {
        followed = this.#host.find(schema, name);
        return followed;
      });
    } catch (error) {
      if (followed === null) throw error;
      this.#host.setAside(followed, error);
    }
  }

  #rows(batch: Batch, type: number, body: PacketReader, header: Pick<EventHeader, 'timestamp'>): void {
    const event = parseRowsEvent(type, body);
    const shape = this.#shapes.of(event.tableId);
    if (shape === null) return;
    const { rows } = event;
    const { whole, layout, old, oldLayout, table } = shape;
    // A row that is to stay may have children that are not
    if (table.skipEvents.has(event.kind) && layout.cascades === null) return;
    this.#sink.cascades.foreignKeys = event.foreignKeys;
    const decodeNew = (): Int32Array => {
      whole.decode(rows, batch.lines);
      return whole.fieldEnds;
    };
    const decodeOld = (): Int32Array => {
      old.decode(rows, batch.lines);
      return old.fieldEnds;
    };
    try {
      whole.expectFullImage(event.present, shape.map.name);
      while (!rows.done) {
        if (event.kind === 'insert') this.#sink.insert(batch, layout, decodeNew);
        else if (event.kind === 'delete') this.#sink.remove(batch, oldLayout, decodeOld, layout);
        else this.#sink.update(batch, oldLayout, decodeOld, layout, decodeNew);
      }
    } catch (error) {
      this.#host.setAside(table, error);
      return;
    }
    batch.sourceTimeMs = header.timestamp * 1_000;
  }

  #partialUpdate(body: PacketReader): void {
    const shape = this.#shapes.of(body.u48());
    if (shape === null) return;
    const reason =
      'a session has set binlog_row_value_options = PARTIAL_JSON, and the log holds only what changed inside of its values';
    this.#host.setAside(shape.table, new Error(reason));
  }
}
