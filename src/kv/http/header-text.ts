const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Text as the value of an HTTP header: its UTF-8 bytes, one character each, as `node:http` wants them.
 * Control characters – line ends above all – become spaces, so a comment can't begin a header of its own.
 */
export function encodeHeaderText(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text)) return text;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must go
  return Buffer.from(text.replace(/[\x00-\x1f\x7f]/g, ' ')).toString('latin1');
}

/** The text of a received header: `node:http` hands over its bytes as latin-1; they are UTF-8 when they can be. */
export function decodeHeaderText(raw: string): string {
  if (/^[\x20-\x7e]*$/.test(raw)) return raw;
  try {
    return utf8.decode(Buffer.from(raw, 'latin1'));
  } catch {
    return raw;
  }
}

/** Whether a text comes out of a header as it went in. (Line ends don't, nor do spaces at either end.) */
export function survivesHeader(text: string): boolean {
  return decodeHeaderText(encodeHeaderText(text)) === text && text.trim() === text;
}

/** Cuts a text to at most so many bytes of UTF-8, between two characters. */
export function cutToBytes(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text;
  let cut = '';
  let size = 0;
  for (const character of text) {
    size += Buffer.byteLength(character);
    if (size > maxBytes) break;
    cut += character;
  }
  return cut;
}
