import { inflateSync } from 'node:zlib';
import { PacketReader } from './packet-reader.ts';

/** The parts of a rows event before its row images. */
export interface RowsEvent {
  readonly tableId: number;
  readonly kind: 'insert' | 'update' | 'delete';
  readonly columnCount: number;
  /** Whether the session checked foreign keys; without, it did nothing to the children either. */
  readonly foreignKeys: boolean;
  /** Bitmap of the columns in the (only, or the old) image. */
  readonly present: Buffer;
  /** For updates: bitmap of the columns in the new image. */
  readonly presentAfter: Buffer | null;
  /** Stands at the first row image; it ends with the last. */
  readonly rows: PacketReader;
}

/** Event type codes of rows events: version 1 (MariaDB), version 2 (MySQL), and MariaDB's compressed ones. */
const ROWS_EVENTS: Record<number, { kind: RowsEvent['kind']; extra: boolean; compressed: boolean } | undefined> = {
  23: { kind: 'insert', extra: false, compressed: false },
  24: { kind: 'update', extra: false, compressed: false },
  25: { kind: 'delete', extra: false, compressed: false },
  30: { kind: 'insert', extra: true, compressed: false },
  31: { kind: 'update', extra: true, compressed: false },
  32: { kind: 'delete', extra: true, compressed: false },
  166: { kind: 'insert', extra: false, compressed: true },
  167: { kind: 'update', extra: false, compressed: true },
  168: { kind: 'delete', extra: false, compressed: true },
  169: { kind: 'insert', extra: true, compressed: true },
  170: { kind: 'update', extra: true, compressed: true },
  171: { kind: 'delete', extra: true, compressed: true },
};

export const TABLE_MAP_EVENT = 19;

/** MySQL: an update that holds only what changed inside of JSON values. */
export const PARTIAL_UPDATE_EVENT = 39;

/** MySQL: a whole transaction, compressed with zstd. */
export const TRANSACTION_PAYLOAD_EVENT = 40;

/** The event's flag of `foreign_key_checks = 0`. */
const NO_FOREIGN_KEY_CHECKS = 2;

export function isRowsEvent(type: number): boolean {
  return ROWS_EVENTS[type] !== undefined;
}

/** @param body - the event behind its 19-byte header, without the checksum */
export function parseRowsEvent(type: number, body: PacketReader): RowsEvent {
  const { kind, extra, compressed } = ROWS_EVENTS[type]!;
  const tableId = body.u48();
  const foreignKeys = (body.u16() & NO_FOREIGN_KEY_CHECKS) === 0;
  if (extra) body.take(body.u16() - 2);
  const columnCount = body.length();
  const bitmap = (columnCount + 7) >> 3;
  const present = body.take(bitmap);
  const presentAfter = kind === 'update' ? body.take(bitmap) : null;
  const rows = compressed ? new PacketReader(inflatePayload(body.bytes.subarray(body.at, body.end))) : body;
  return { tableId, kind, columnCount, foreignKeys, present, presentAfter, rows };
}

/** MariaDB's `log_bin_compress`: a header byte with the size of the length that follows, then a zlib stream. */
function inflatePayload(packed: Buffer): Buffer {
  const header = packed[0]!;
  return inflateSync(packed.subarray(1 + (header & 7)));
}
