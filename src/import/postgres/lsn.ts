import type { Position } from '../model/position.ts';

/** `0/16B3748` of a log sequence number. */
export function lsnText(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffff_ffffn).toString(16).toUpperCase()}`;
}

/** @throws SyntaxError for anything but `16/B374D848` */
export function parseLsn(text: string): bigint {
  const [high, low, ...rest] = text.split('/');
  if (high === undefined || low === undefined || rest.length > 0) throw new SyntaxError(`${text} is not an LSN`);
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

/**
 * A place in the write-ahead log, between two transactions. A transaction belongs to what comes after a place when its
 * commit record begins there or later – which is also what START_REPLICATION means by a place.
 */
export function lsnPosition(lsn: bigint): Position {
  return { ordinal: lsn, text: lsnText(lsn), gtid: null };
}
