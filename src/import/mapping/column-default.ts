import { quoteLiteral } from '../../internal/quote.ts';
import { escapeField } from '../copy-text/fields.ts';
import type { SourceColumn } from '../model/source-table.ts';
import type { ValueForm } from '../model/target-table.ts';

/** A default in Postgres' words, or why it could not be carried over. */
export type TranslatedDefault = { readonly sql: string | null; readonly remark: string | null };

const NONE: TranslatedDefault = { sql: null, remark: null };

/** Translates the default of a column. What cannot be said in Postgres is left out and remarked upon. */
export function translateDefault(column: SourceColumn, form: ValueForm): TranslatedDefault {
  const source = column.default;
  if (source === null || column.autoIncrement || column.generated !== null) return NONE;
  const lost = { sql: null, remark: `default ${source.text} of ${column.name} has no counterpart and was left out` };
  if (source.kind === 'expression') return { ...lost, ...translateExpression(source.text, form, column) };
  const { text } = source;
  switch (form) {
    case 'plain':
    case 'double':
      return /^-?\d+(\.\d*)?(e[+-]?\d+)?$/i.test(text) ? { sql: text, remark: null } : lost;
    case 'boolean':
      return text === '0' || text === '1' ? { sql: text === '1' ? 'true' : 'false', remark: null } : lost;
    case 'bits':
    case 'bits-number':
      return translateBits(text, form) ?? lost;
    case 'date':
    case 'timestamp':
    case 'timestamptz':
      return /^0000|-00/.test(text) ? lost : { sql: quoteLiteral(text).trim(), remark: null };
    case 'set-array':
      return { sql: quoteLiteral(arrayLiteral(text)).trim(), remark: null };
    case 'bytea':
    case 'uuid-binary':
      return {
        sql: `'\\x${padded(column, Buffer.from(text, source.kind === 'bytes' ? 'hex' : 'utf8')).toString('hex')}'`,
        remark: null,
      };
    case 'ewkb':
    case 'ewkb-bytea':
      return lost;
    default:
      return { sql: quoteLiteral(text).trim(), remark: null };
  }
}

/** BINARY(n) is filled up with zero bytes, its default too. */
function padded({ type }: SourceColumn, bytes: Buffer): Buffer {
  const width = Number(/^binary\((\d+)\)/i.exec(type)?.[1] ?? 0);
  return Buffer.concat([bytes, Buffer.alloc(Math.max(0, width - bytes.length))]);
}

function translateBits(text: string, form: ValueForm): TranslatedDefault | undefined {
  const digits = /^b'([01]*)'$/i.exec(text)?.[1] ?? (/^\d+$/.test(text) ? BigInt(text).toString(2) : undefined);
  if (digits === undefined) return undefined;
  return { sql: form === 'bits' ? `B'${digits}'` : BigInt(`0b${digits || '0'}`).toString(), remark: null };
}

function translateExpression(
  text: string,
  form: ValueForm,
  column: SourceColumn,
): TranslatedDefault | Record<string, never> {
  const bare = text
    .trim()
    .toLowerCase()
    .replace(/^\((.*)\)$/s, '$1');
  const now = /^(current_timestamp|now|localtime|localtimestamp)(\((\d?)\))?$/.exec(bare);
  if (now && (form === 'timestamp' || form === 'timestamptz')) {
    const precision = now[3] ? `(${now[3]})` : '(0)';
    if (form === 'timestamptz') return { sql: `current_timestamp${precision}`, remark: null };
    // TIMESTAMP holds an instant, which we keep in UTC; DATETIME holds what the clock on the wall shows
    return column.type.toLowerCase().startsWith('timestamp')
      ? { sql: `(current_timestamp${precision} at time zone 'UTC')`, remark: null }
      : { sql: `localtimestamp${precision}`, remark: null };
  }
  if (/^(curdate|current_date)(\(\))?$/.test(bare) && form === 'date') return { sql: 'current_date', remark: null };
  if (bare === 'uuid()')
    return { sql: form === 'uuid' ? 'gen_random_uuid()' : 'gen_random_uuid()::text', remark: null };
  if (bare === 'null') return { sql: null, remark: null };
  return {};
}

/** `a,b` of a SET as the text of an array literal. */
export function arrayLiteral(members: string): string {
  if (members === '') return '{}';
  const quoted = members.split(',').map((member) => `"${member.replace(/["\\]/g, '\\$&')}"`);
  return `{${quoted.join(',')}}`;
}

/** The same, as it is written in a COPY line. */
export function copyArrayLiteral(members: string): string {
  return escapeField(arrayLiteral(members));
}
