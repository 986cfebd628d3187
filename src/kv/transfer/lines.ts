import { CommitFormatError } from '../errors.ts';

/** Longest line taken; a payload of 16 MiB in hexadecimal is 32 MiB. */
const MAX_LINE_BYTES = 256 * 1024 * 1024;

/** Lines without their LF, as latin-1: one character is one byte, whatever the bytes mean. */
export async function* readLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  let parts: string[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    const text = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1');
    const lines = text.split('\n');
    for (let at = 0; at < lines.length - 1; at++) {
      if (parts.length === 0) yield lines[at]!;
      else {
        parts.push(lines[at]!);
        yield parts.join('');
        parts = [];
        size = 0;
      }
    }
    const rest = lines.at(-1)!;
    if (rest !== '') parts.push(rest);
    size += rest.length;
    if (size > MAX_LINE_BYTES) throw new CommitFormatError(`a line has more than ${MAX_LINE_BYTES} bytes`);
  }
  if (parts.length > 0) yield parts.join('');
}
