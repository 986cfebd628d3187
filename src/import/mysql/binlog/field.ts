import type { LineBuffer } from '../../copy-text/line-buffer.ts';
import type { PacketReader } from './packet-reader.ts';

/** Reads one value of a row image: writes it as a field of a COPY line, or steps over it. */
export interface FieldCodec {
  readonly write: (from: PacketReader, out: LineBuffer) => void;
  readonly skip: (from: PacketReader) => void;
}

/** The column's type cannot be read out of the binlog in the wanted form. */
export class UnreadableColumn extends Error {}

/** The `skip` of a value whose size is known. */
export const stepOver =
  (bytes: number) =>
  (from: PacketReader): void => {
    from.at += bytes;
  };
