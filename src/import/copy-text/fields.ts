const BACKSLASH = 0x5c;
const TAB = 0x09;

/** Splits one COPY line (without its newline) into its raw fields, still escaped. */
export function splitFields(line: Uint8Array): Uint8Array[] {
  const fields: Uint8Array[] = [];
  let start = 0;
  for (;;) {
    const end = line.indexOf(TAB, start);
    if (end === -1) {
      fields.push(line.subarray(start));
      return fields;
    }
    fields.push(line.subarray(start, end));
    start = end + 1;
  }
}

/** Whether a raw field is COPY's NULL. */
export function isNullField(field: Uint8Array): boolean {
  return field.length === 2 && field[0] === BACKSLASH && field[1] === 0x4e;
}

/** The text a raw field stands for, or `null`. */
export function unescapeField(field: Uint8Array): string | null {
  if (isNullField(field)) return null;
  const text = Buffer.from(field.buffer, field.byteOffset, field.byteLength).toString('utf8');
  if (!text.includes('\\')) return text;
  return text.replace(/\\(.)/gs, (_, letter: string) => UNESCAPED[letter] ?? letter);
}

const UNESCAPED: Record<string, string> = { t: '\t', n: '\n', r: '\r', b: '\b', f: '\f', v: '\v' };

/** Escapes a text for one field of COPY; `null` becomes `\N`. */
export function escapeField(text: string | null): string {
  if (text === null) return '\\N';
  return /[\\\t\n\r]/.test(text)
    ? text.replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\n', '\\n').replaceAll('\r', '\\r')
    : text;
}
