import { UnreadableLogError } from '../../errors.ts';
import type { Unzstd } from '../zstd.ts';
import type { PacketReader } from './packet-reader.ts';

/** Fields in front of the payload (libs/mysql/binlog/event/control_events.h). */
const END = 0;
const SIZE = 1;
const COMPRESSION = 2;
const UNCOMPRESSED_SIZE = 3;

const ZSTD = 0;
const NONE = 255;

/** Unpacked at once: what a transaction may take in memory. */
const MAX_UNPACKED_BYTES = 256 * 1024 * 1024;

const HEADER_BYTES = 19;
const NEXT_POSITION = 13;
const EVENT_LENGTH = 9;

/**
 * Unpacks a TRANSACTION_PAYLOAD event into its events, each with its header and without a checksum. Their places are
 * those of the packed one, for reading can begin behind it only.
 *
 * @param body - the event behind its 19-byte header, without the checksum
 * @param unzstd - `null`: there is nothing to unpack it with
 */
export function* unpackTransaction(
  body: PacketReader,
  nextPosition: number,
  unzstd: Unzstd | null,
): Generator<Buffer, void, void> {
  const fields = new Map<number, number>();
  for (let type = body.length(); type !== END; type = body.length()) {
    const end = body.length() + body.at;
    fields.set(type, body.length());
    body.at = end;
  }
  const packed = body.take(fields.get(SIZE) ?? body.end - body.at);
  const method = fields.get(COMPRESSION) ?? ZSTD;
  const size = fields.get(UNCOMPRESSED_SIZE) ?? 0;
  const events = unpack(packed, { method, size, unzstd });
  for (let at = 0; at < events.length; ) {
    const end = at + events.readUInt32LE(at + EVENT_LENGTH);
    if (end < at + HEADER_BYTES || end > events.length)
      throw new UnreadableLogError('a compressed transaction is cut off');
    const event = events.subarray(at, end);
    event.writeUInt32LE(nextPosition, NEXT_POSITION);
    yield event;
    at = end;
  }
}

function unpack(
  packed: Buffer,
  { method, size, unzstd }: { readonly method: number; readonly size: number; readonly unzstd: Unzstd | null },
): Buffer {
  if (method === NONE) return Buffer.from(packed);
  if (method !== ZSTD) throw new UnreadableLogError(`the compression ${method} of a transaction is not known`);
  if (size > MAX_UNPACKED_BYTES) {
    throw new UnreadableLogError(
      `a compressed transaction holds ${size} bytes, more than the ${MAX_UNPACKED_BYTES} that are unpacked at once; ` +
        'copy again with init-replica',
    );
  }
  if (unzstd === null) {
    throw new UnreadableLogError(
      'a session has set binlog_transaction_compression = ON, and there is nothing to unpack its transactions with: ' +
        'use Node 22.15, or npm install fzstd, and start the replica again',
    );
  }
  const events = unzstd(packed);
  return Buffer.from(events.buffer, events.byteOffset, events.byteLength);
}
