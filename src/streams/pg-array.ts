/** Types that travel as binary arrays: what the server would otherwise have to unescape, and this process to escape. */
const TEXT_OID = 25;
const BYTEA_OID = 17;
const HEADER_BYTES = 20;

/** An array of numbers, booleans or UUIDs: nothing in their texts needs quotes. */
export function plainArray(values: readonly (number | bigint | boolean | string)[]): string {
  return `{${values.join(',')}}`;
}

/** An array of texts, in the server's binary form. */
export function textArray(values: readonly (string | null)[]): Buffer {
  let room = HEADER_BYTES;
  for (const value of values) room += 4 + (value === null ? 0 : roomFor(value));
  const buffer = Buffer.allocUnsafe(room);
  let at = header(buffer, TEXT_OID, values);
  for (const value of values) {
    if (value === null) {
      at = buffer.writeInt32BE(-1, at);
    } else {
      const length = buffer.write(value, at + 4);
      buffer.writeInt32BE(length, at);
      at += 4 + length;
    }
  }
  return buffer.subarray(0, at);
}

/** An array of bytes, in the server's binary form. */
export function byteaArray(values: readonly (Buffer | null)[]): Buffer {
  let room = HEADER_BYTES;
  for (const value of values) room += 4 + (value?.length ?? 0);
  const buffer = Buffer.allocUnsafe(room);
  let at = header(buffer, BYTEA_OID, values);
  for (const value of values) {
    at = buffer.writeInt32BE(value?.length ?? -1, at);
    if (value !== null) at += value.copy(buffer, at);
  }
  return buffer;
}

/** No text takes more than three bytes for each of its UTF-16 units; counting pays off only for long ones. */
function roomFor(text: string): number {
  return text.length < 256 ? text.length * 3 : Buffer.byteLength(text);
}

/** One dimension that begins at 1. */
function header(buffer: Buffer, elementOid: number, values: readonly unknown[]): number {
  buffer.writeInt32BE(1, 0);
  buffer.writeInt32BE(values.includes(null) ? 1 : 0, 4);
  buffer.writeInt32BE(elementOid, 8);
  buffer.writeInt32BE(values.length, 12);
  return buffer.writeInt32BE(1, 16);
}
