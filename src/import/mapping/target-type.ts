import type { SourceColumn } from '../model/source-table.ts';
import type { ValueForm } from '../model/target-table.ts';
import { type MysqlType, parseMysqlType } from './mysql-type.ts';

/** A Postgres type with the form its values are written in. `enum` asks for an enum type of its own. */
export interface TypeChoice {
  readonly type: string;
  readonly form: ValueForm;
}

export interface TypeOptions {
  /** Whether the target has PostGIS. Without it geometry becomes bytea. */
  readonly postgis: boolean;
  /** TIMESTAMP becomes `timestamptz` (it is an instant) instead of `timestamp` in UTC. */
  readonly timestamptz: boolean;
}

/**
 * The lossless Postgres type of a MySQL column: every value of the source type has exactly one value in it,
 * but for those that Postgres has no notion of (zero dates, NUL in text), which follow the value policy.
 *
 * @returns `null` when the type is not known; the table is then refused, and only it.
 */
export function targetTypeOf(column: SourceColumn, options: TypeOptions): TypeChoice | null {
  const type = parseMysqlType(column.type);
  const [first, second] = type.numbers;
  switch (type.name) {
    case 'tinyint':
      return { type: 'smallint', form: 'plain' };
    case 'smallint':
      return { type: type.unsigned ? 'integer' : 'smallint', form: 'plain' };
    case 'mediumint':
      return { type: 'integer', form: 'plain' };
    case 'int':
      return { type: type.unsigned ? 'bigint' : 'integer', form: 'plain' };
    case 'bigint':
      return { type: type.unsigned ? 'numeric(20)' : 'bigint', form: 'plain' };
    case 'decimal':
      return { type: `numeric(${first ?? 10},${second ?? 0})`, form: 'plain' };
    case 'float':
      // float(30) is MySQL's way to ask for double precision
      return { type: first !== undefined && second === undefined && first > 24 ? DOUBLE : 'real', form: 'double' };
    case 'double':
      return { type: DOUBLE, form: 'double' };
    case 'bit':
      return { type: `bit(${first ?? 1})`, form: 'bits' };
    case 'year':
      return { type: 'smallint', form: 'plain' };
    case 'date':
      return { type: 'date', form: 'date' };
    case 'datetime':
      return { type: `timestamp(${first ?? 0}) without time zone`, form: 'timestamp' };
    case 'timestamp':
      return options.timestamptz
        ? { type: `timestamp(${first ?? 0}) with time zone`, form: 'timestamptz' }
        : { type: `timestamp(${first ?? 0}) without time zone`, form: 'timestamp' };
    case 'time':
      return { type: `interval(${first ?? 0})`, form: 'interval' };
    case 'char':
    case 'varchar':
      // CHAR gives back its value without trailing spaces, which Postgres' character(n) would add again
      return column.json ? { type: 'json', form: 'json' } : { type: `character varying(${first ?? 1})`, form: 'text' };
    case 'tinytext':
    case 'text':
    case 'mediumtext':
    case 'longtext':
      return column.json ? { type: 'json', form: 'json' } : { type: 'text', form: 'text' };
    case 'json':
      return { type: 'jsonb', form: 'json' };
    case 'enum':
      return { type: 'enum', form: 'enum' };
    case 'set':
      return { type: 'text[]', form: 'set-array' };
    case 'binary':
    case 'varbinary':
    case 'tinyblob':
    case 'blob':
    case 'mediumblob':
    case 'longblob':
    case 'vector':
      return { type: 'bytea', form: 'bytea' };
    case 'uuid':
      return { type: 'uuid', form: 'uuid' };
    case 'inet4':
    case 'inet6':
      return { type: 'inet', form: 'inet' };
    default:
      if (!GEOMETRY.has(type.name)) return null;
      return options.postgis ? { type: 'geometry', form: 'ewkb' } : { type: 'bytea', form: 'ewkb-bytea' };
  }
}

const DOUBLE = 'double precision';

const GEOMETRY = new Set([
  'geometry',
  'point',
  'linestring',
  'polygon',
  'multipoint',
  'multilinestring',
  'multipolygon',
  'geometrycollection',
]);

const NUMBERS = /^(smallint|integer|int|bigint|numeric|decimal|real|double precision|int2|int4|int8|float4|float8)\b/;
const TEXTS = /^(text|character varying|varchar|character|char|citext)\b/;

/**
 * The form in which values of a column are written for a type the user chose instead of ours (`type_override`).
 *
 * @returns `null` when values of that column cannot be written for that type.
 */
export function overriddenForm(column: SourceColumn, wanted: string, natural: TypeChoice): ValueForm | null {
  const source = parseMysqlType(column.type);
  const target = wanted.trim().toLowerCase();
  if (/^bool(ean)?$/.test(target)) return source.name === 'tinyint' || isOneBit(source) ? 'boolean' : null;
  if (source.name === 'bit')
    return NUMBERS.test(target) ? 'bits-number' : /^(bit|varbit)\b/.test(target) ? 'bits' : null;
  if (natural.form === 'set-array' || natural.form === 'enum') {
    return TEXTS.test(target)
      ? natural.form === 'enum'
        ? 'enum'
        : 'text'
      : /^text\s*\[\]$/.test(target)
        ? natural.form
        : null;
  }
  if (natural.form === 'interval') {
    return /^time\b/.test(target) ? 'time' : /^interval\b/.test(target) || TEXTS.test(target) ? 'interval' : null;
  }
  if (natural.form === 'timestamp' || natural.form === 'timestamptz') {
    if (/^(timestamptz|timestamp.* with time zone)/.test(target)) return 'timestamptz';
    return /^(timestamp|date)\b/.test(target) || TEXTS.test(target) ? 'timestamp' : null;
  }
  if (natural.form === 'bytea') {
    if (target === 'uuid') return source.name === 'binary' && source.numbers[0] === 16 ? 'uuid-binary' : null;
    return target === 'bytea' ? 'bytea' : null;
  }
  if (natural.form === 'ewkb' || natural.form === 'ewkb-bytea') {
    return /^(geometry|geography)\b/.test(target) ? 'ewkb' : target === 'bytea' ? 'ewkb-bytea' : null;
  }
  if (natural.form === 'double') return NUMBERS.test(target) ? 'double' : null;
  if (/^jsonb?$/.test(target)) return natural.form === 'text' || natural.form === 'json' ? 'json' : null;
  return natural.form;
}

function isOneBit(type: MysqlType): boolean {
  return type.name === 'bit' && (type.numbers[0] ?? 1) === 1;
}
