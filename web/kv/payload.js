const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text of a payload; `undefined` when the bytes are no UTF-8. */
export function textOf(bytes) {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * What a text area makes of a text: it knows LF only. Where every line of the original ended in CR LF they are put
 * back; a mixture is lost, and `mixed` says so.
 */
export function lineEnds(original) {
  const unix = original.replaceAll('\r\n', '\n');
  const windows = unix !== original && unix.replaceAll('\n', '\r\n') === original;
  return {
    mixed: original.includes('\r') && !windows,
    restore: (edited) => (windows ? edited.replaceAll('\n', '\r\n') : edited),
  };
}

/** The beginning of bytes that are no text. */
export function hexOf(bytes) {
  const rows = [];
  for (let at = 0; at < Math.min(bytes.length, 512); at += 16) {
    const row = Array.from(bytes.subarray(at, at + 16), (byte) => byte.toString(16).padStart(2, '0'));
    rows.push(`${at.toString(16).padStart(4, '0')}  ${row.join(' ')}`);
  }
  return `${rows.join('\n')}${bytes.length > 512 ? '\n…' : ''}`;
}
