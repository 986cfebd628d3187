import { parseMysqlType } from '../mapping/mysql-type.ts';
import type { SourceColumn } from '../model/source-table.ts';
import type { TargetColumn } from '../model/target-table.ts';

/**
 * The SQL with which MySQL itself writes rows as lines of COPY's text format, so that they can be forwarded without
 * being decoded here (measured: 3 times the rows a second of lines built in JavaScript).
 *
 * A value that the target cannot hold is written with a NUL character in front. Nothing else in a line can hold one,
 * but for text that holds NUL itself and is a matter for the value policy too; so one `indexOf(0)` over the line
 * finds every value that needs looking at.
 *
 * A NULL anywhere makes the whole line NULL (that is how MySQL says that a result outgrew max_allowed_packet), and the
 * reader then falls back to reading the row column by column: never `ifnull(…, '\N')`, which would turn a value that
 * was too long into a NULL in silence.
 */
export function copyLineExpression(columns: readonly (readonly [SourceColumn, TargetColumn])[]): string {
  const fields = columns.map(([source, target]) => fieldExpression(source, target));
  return `concat(${fields.join(", '\\t', ")})`;
}

function fieldExpression(source: SourceColumn, target: TargetColumn): string {
  const column = quoteMysql(source.name);
  const value = valueExpression(column, source, target);
  return source.nullable ? `if(${column} is null, '\\\\N', ${value})` : value;
}

export function valueExpression(column: string, source: SourceColumn, target: TargetColumn): string {
  switch (target.form) {
    case 'plain':
      return plainExpression(column, source);
    case 'double':
      return doubleExpression(column, source);
    case 'text':
    case 'json':
      return escapeExpression(textExpression(column, source));
    case 'bytea':
      return `concat('\\\\\\\\x', hex(${column}))`;
    case 'bits':
      return `lpad(bin(${column} + 0), ${parseMysqlType(source.type).numbers[0] ?? 1}, '0')`;
    case 'bits-number':
      return `${column} + 0`;
    case 'boolean':
      return `if(${column} in (0, 1), ${column} + 0, concat(char(0), ${column} + 0))`;
    case 'date':
    case 'timestamp':
    case 'timestamptz':
      return temporalExpression(column, target.form === 'timestamptz' ? '+00' : '');
    case 'interval':
      return column;
    case 'time':
      return `if(${column} between '00:00:00' and '24:00:00', ${column}, concat(char(0), ${column}))`;
    case 'enum':
      return `if(${column} + 0 = 0, char(0), ${escapeExpression(textExpression(column, source))})`;
    case 'set-array':
      return setExpression(textExpression(column, source));
    case 'uuid':
    case 'inet':
      return `cast(${column} as char)`;
    case 'uuid-binary':
      return `hex(${column})`;
    case 'ewkb':
      return ewkbExpression(column);
    case 'ewkb-bytea':
      return `concat('\\\\\\\\x', ${ewkbExpression(column)})`;
  }
}

function plainExpression(column: string, source: SourceColumn): string {
  // zerofill is a way of printing, not a part of the value
  return parseMysqlType(source.type).zerofill ? `${column} + 0` : column;
}

/**
 * All digits of a floating-point number. A bare FLOAT prints six of them, and FLOAT and DOUBLE with a scale as many as that
 * says; as results of a multiplication they print what they hold. MySQL has room for 22 characters then and leaves digits
 * away where a negative number needs more, which CAST of a bare DOUBLE does not.
 */
function doubleExpression(column: string, source: SourceColumn): string {
  const { name, numbers } = parseMysqlType(source.type);
  if (name === 'float') return `${column} * 1e0`;
  return numbers.length === 0
    ? `cast(${column} as char)`
    : `if(${column} < 0, concat('-', abs(${column} * 1e0)), ${column} * 1e0)`;
}

/**
 * The text in utf8mb4, of one collation for all columns: MySQL refuses to put texts of different collations together.
 * UTF8MB4_BIN, which every server has, costs nothing; a conversion is only asked for where bytes change.
 */
function textExpression(column: string, source: SourceColumn): string {
  const charset = source.charset?.toLowerCase() ?? 'utf8mb4';
  return `${charset === 'utf8mb4' ? column : `convert(${column} using utf8mb4)`} collate utf8mb4_bin`;
}

function escapeExpression(text: string): string {
  return `replace(replace(replace(replace(${text}, '\\\\', '\\\\\\\\'), '\\t', '\\\\t'), '\\n', '\\\\n'), '\\r', '\\\\r')`;
}

/** FROM_DAYS(TO_DAYS(x)) gives x back only for days that exist: not for zero, partial or invalid dates. */
function temporalExpression(column: string, suffix: string): string {
  const good = suffix === '' ? column : `concat(${column}, '${suffix}')`;
  return `if(from_days(to_days(${column})) <=> date(${column}), ${good}, concat(char(0), ${column}))`;
}

function setExpression(text: string): string {
  // Labels can hold quotes and backslashes: escaped once for the array literal, once more for COPY
  const escaped = `replace(replace(${text}, '\\\\', '\\\\\\\\\\\\\\\\'), '"', '\\\\\\\\"')`;
  const copied = `replace(replace(replace(${escaped}, '\\t', '\\\\t'), '\\n', '\\\\n'), '\\r', '\\\\r')`;
  return `if(${text} = '', '{}', concat('{"', replace(${copied}, ',', '","'), '"}'))`;
}

/**
 * MySQL stores a geometry as four bytes of SRID followed by WKB. Postgres' extended WKB keeps the SRID behind the
 * type, marked by a bit in it; without an SRID both are plain WKB.
 */
function ewkbExpression(column: string): string {
  const hex = `hex(${column})`;
  return (
    `if(substr(${hex}, 1, 8) = '00000000', substr(${hex}, 9), ` +
    `concat(substr(${hex}, 9, 8), '20', substr(${hex}, 1, 8), substr(${hex}, 19)))`
  );
}

/** Quotes an identifier for MySQL. */
export function quoteMysql(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

/** `schema`.`table`, quoted for MySQL. */
export function qualifyMysql(table: { readonly schema: string; readonly name: string }): string {
  return `${quoteMysql(table.schema)}.${quoteMysql(table.name)}`;
}
