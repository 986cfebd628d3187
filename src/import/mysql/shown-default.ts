import type { SourceDefault } from '../model/source-table.ts';
import type { ServerFlavour } from './flavour.ts';

/** MariaDB quotes literals and writes NULL as a word; MySQL gives bare text and marks expressions in EXTRA. */
export function readDefault(
  text: string | null,
  extra: string,
  type: string,
  flavour: ServerFlavour,
): SourceDefault | null {
  if (text === null) return null;
  if (flavour.mariadb) {
    if (text === 'NULL') return null;
    const quoted = /^'(.*)'$/s.exec(text)?.[1];
    if (quoted !== undefined) {
      const plain = unquote(quoted);
      // Bytes may be zero, which no text that we store can hold
      if (!/^(var)?binary/i.test(type)) return { kind: 'literal', text: plain };
      return { kind: 'bytes', text: Buffer.from(plain).toString('hex') };
    }
    if (/^-?[\d.]+(e[+-]?\d+)?$/i.test(text) || /^b'[01]*'$/i.test(text)) return { kind: 'literal', text };
    return { kind: 'expression', text };
  }
  const isExpression = extra.includes('default_generated') || /^current_timestamp(\(\d?\))?$/i.test(text);
  if (isExpression && !/^(char|varchar|text|enum|set)/i.test(type)) return { kind: 'expression', text };
  return extra.includes('default_generated') ? { kind: 'expression', text } : { kind: 'literal', text };
}

function unquote(text: string): string {
  return text.replace(/''|\\(.)/gs, (_, letter: string | undefined) => {
    if (letter === undefined) return "'";
    return { n: '\n', t: '\t', r: '\r', '0': '\0', Z: '\x1a', b: '\b' }[letter] ?? letter;
  });
}
