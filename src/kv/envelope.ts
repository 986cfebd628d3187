import type { ValueCodec } from './codec.ts';
import { Commit } from './commit.ts';
import { parseCommitMeta } from './commit-meta.ts';
import { CommitFormatError } from './errors.ts';

const LF = 0x0a;

/**
 * A commit as one blob, the way Rainer kept it in its table and in ZooKeeper:
 * decimal byte length of the header, LF, the header (meta JSON), LF, the payload, LF.
 */
export function toEnvelope(commit: Commit<unknown>): Buffer {
  const header = Buffer.from(JSON.stringify(commit.meta));
  return Buffer.concat([
    Buffer.from(`${header.length}\n`),
    header,
    Buffer.of(LF),
    commit.payload ?? Buffer.alloc(0),
    Buffer.of(LF),
  ]);
}

/**
 * Reads what {@link toEnvelope} or Rainer wrote.
 *
 * @throws CommitFormatError when the bytes are no envelope
 */
export function fromEnvelope<V = Buffer>(bytes: Uint8Array, codec?: ValueCodec<V>): Commit<V> {
  const blob = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const firstLine = blob.subarray(0, Math.max(0, blob.indexOf(LF))).toString('latin1');
  const size = /^\d{1,9}$/.test(firstLine) ? Number(firstLine) : Number.NaN;
  const headerAt = firstLine.length + 1;
  const payloadAt = headerAt + size + 1;
  // The shortest envelope ends in the LF before the payload and the one behind it.
  if (!(payloadAt < blob.length) || blob[payloadAt - 1] !== LF || blob[blob.length - 1] !== LF) {
    throw new CommitFormatError('the bytes are no commit envelope: length, header, payload');
  }
  let header: unknown;
  try {
    header = JSON.parse(blob.toString('utf8', headerAt, payloadAt - 1));
  } catch (cause) {
    throw new CommitFormatError('the header of the commit envelope is no JSON', { cause });
  }
  const meta = parseCommitMeta(header);
  return new Commit({ ...meta, payload: meta.empty ? null : blob.subarray(payloadAt, -1) }, codec);
}
