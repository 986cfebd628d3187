import type { Position } from '../../model/position.ts';

/** A place in the binlog, always at the end of a transaction. */
export interface BinlogPosition {
  readonly file: string;
  readonly offset: number;
  /** MariaDB: `0-1-1234,…`; MySQL: the executed set. `null` when the server has none. */
  readonly gtid: string | null;
}

/** Offsets need 40 bits: a file may outgrow 4 GiB when a single transaction does. */
const OFFSET_BITS = 40n;

/** Binlog files are numbered in the order they are written; so file number and offset together are a total order. */
export function toPosition({ file, offset, gtid }: BinlogPosition): Position {
  const number = BigInt(/\.(\d+)$/.exec(file)?.[1] ?? '0');
  return { ordinal: (number << OFFSET_BITS) | BigInt(offset), text: `${file}:${offset}`, gtid };
}

export function fromPosition(position: Position): BinlogPosition {
  const colon = position.text.lastIndexOf(':');
  return { file: position.text.slice(0, colon), offset: Number(position.text.slice(colon + 1)), gtid: position.gtid };
}
