// hstore for the rivals. Theirs to choose would be pg-hstore, which is slow; this is as fast as we know, so that the
// figures compare drivers and not decoders.

/** Decodes what the server sends, `"key"=>"value", "other"=>NULL`; the bench's bodies need no escapes. */
export function decodeHstore(text: string): Record<string, string | null> {
  const body: Record<string, string | null> = {};
  for (let at = 1; at < text.length; ) {
    const keyEnd = text.indexOf('"', at);
    const key = text.slice(at, keyEnd);
    at = keyEnd + 3;
    if (text.charCodeAt(at) === 34) {
      const end = text.indexOf('"', at + 1);
      body[key] = text.slice(at + 1, end);
      at = end + 4;
    } else {
      body[key] = null;
      at += 7;
    }
  }
  return body;
}

/** Encodes a body for a bound value. */
export function encodeHstore(body: Record<string, string | null>): string {
  const quoted = (text: string): string => `"${/["\\]/.test(text) ? text.replace(/["\\]/g, '\\$&') : text}"`;
  return Object.entries(body)
    .map(([key, value]) => `${quoted(key)}=>${value === null ? 'NULL' : quoted(value)}`)
    .join(',');
}
