import { BINLOG_TYPE, CHARACTER_TYPES, NUMERIC_TYPES } from './column-types.ts';
import { PacketReader } from './packet-reader.ts';

/** A column as the binlog describes it at the moment a row was written. */
export interface BinlogColumn {
  readonly name: string;
  readonly type: number;
  /** Precision of decimals, declared length in bytes, fractional digits, size of a length prefix – by type. */
  readonly size: number;
  /** Scale of decimals. */
  readonly scale: number;
  readonly unsigned: boolean;
  /** Collation id; 63 is binary. `undefined` for columns without text. */
  readonly collation: number | undefined;
  /** Labels of ENUM and SET, as bytes in the column's character set. */
  readonly labels: readonly Buffer[] | undefined;
}

/** What a TABLE_MAP event says: the shape of the rows that follow. */
export interface TableMap {
  readonly tableId: number;
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly BinlogColumn[];
}

/** Which table a TABLE_MAP event is of. Looked at for each of them, so nothing else is read. */
export function tableOfMap(body: Buffer): { readonly schema: string; readonly name: string } {
  const schemaEnd = 9 + body[8]!;
  const nameStart = schemaEnd + 2;
  return {
    schema: body.toString('utf8', 9, schemaEnd),
    name: body.toString('utf8', nameStart, nameStart + body[schemaEnd + 1]!),
  };
}

/** Raised when a table map lacks what `binlog_row_metadata=FULL` adds. */
export class MetadataMissing extends Error {}

/**
 * Takes a TABLE_MAP event apart.
 *
 * Own code where the rest of the protocol is left to `@vlasky/zongji`, for its parser (0.9.0) counts GEOMETRY columns of
 * MariaDB wrongly: there they have an entry in the list of character sets (in MySQL they do not), so behind a geometry
 * column every later character set belonged to the wrong column, text came as bytes and BLOBs were decoded as text,
 * beyond repair.
 *
 * @param body - the event behind its 19-byte header, without the checksum
 */
export function parseTableMap(body: PacketReader, { mariadb }: { mariadb: boolean }): TableMap {
  const tableId = body.u48();
  body.u16();
  const schema = body.take(body.u8()).toString('utf8');
  body.u8();
  const name = body.take(body.u8()).toString('utf8');
  body.u8();
  const count = body.length();
  const types = [...body.take(count)];
  const shapes = readShapes(new PacketReader(body.take(body.length())), types);
  body.take((count + 7) >> 3);
  const metadata = readMetadata(body, shapes, mariadb);
  if (metadata.names.length !== count) {
    throw new MetadataMissing(
      `${schema}.${name}: the binlog does not name its columns; set binlog_row_metadata = FULL on the source`,
    );
  }
  const columns = shapes.map((shape, index) => ({
    ...shape,
    name: metadata.names[index]!,
    unsigned: metadata.unsigned[index] ?? false,
    collation: metadata.collations[index],
    labels: metadata.labels[index],
  }));
  return { tableId, schema, name, columns };
}

type Shape = Pick<BinlogColumn, 'type' | 'size' | 'scale'>;

/** The block with a few bytes per column, whose number and meaning hang on the type. */
function readShapes(block: PacketReader, types: readonly number[]): Shape[] {
  return types.map((type): Shape => {
    switch (type) {
      case BINLOG_TYPE.float:
      case BINLOG_TYPE.double:
      case BINLOG_TYPE.blob:
      case BINLOG_TYPE.blobCompressed:
      case BINLOG_TYPE.geometry:
      case BINLOG_TYPE.json:
      case BINLOG_TYPE.vector:
      case BINLOG_TYPE.timestamp2:
      case BINLOG_TYPE.datetime2:
      case BINLOG_TYPE.time2:
        return { type, size: block.u8(), scale: 0 };
      case BINLOG_TYPE.varchar:
      case BINLOG_TYPE.varcharCompressed:
        return { type, size: block.u16(), scale: 0 };
      case BINLOG_TYPE.newdecimal:
        return { type, size: block.u8(), scale: block.u8() };
      case BINLOG_TYPE.bit: {
        const bits = block.u8();
        return { type, size: block.u8() * 8 + bits, scale: 0 };
      }
      case BINLOG_TYPE.string:
      case BINLOG_TYPE.varString:
        return readStringShape(block.u8(), block.u8());
      default:
        return { type, size: 0, scale: 0 };
    }
  });
}

/** CHAR, BINARY, ENUM and SET share a code; the real type and two bits of the length hide in the first byte. */
function readStringShape(first: number, second: number): Shape {
  if (first === BINLOG_TYPE.enum || first === BINLOG_TYPE.set) return { type: first, size: second, scale: 0 };
  return { type: BINLOG_TYPE.string, size: second | (((first & 0x30) ^ 0x30) << 4), scale: 0 };
}

interface Metadata {
  names: string[];
  unsigned: (boolean | undefined)[];
  collations: (number | undefined)[];
  labels: (readonly Buffer[] | undefined)[];
}

/** Codes of the optional metadata (Table_map_event in MySQL's libbinlogevents/include/rows_event.h). */
const FIELD = {
  signedness: 1,
  defaultCharset: 2,
  columnCharset: 3,
  columnName: 4,
  setLabels: 5,
  enumLabels: 6,
  enumAndSetDefaultCharset: 10,
  enumAndSetColumnCharset: 11,
} as const;

function readMetadata(body: PacketReader, shapes: readonly Shape[], mariadb: boolean): Metadata {
  const indexesOf = (wanted: (type: number) => boolean): number[] =>
    shapes.flatMap(({ type }, index) => (wanted(type) ? [index] : []));
  const numeric = indexesOf((type) => NUMERIC_TYPES.has(type));
  const enums = indexesOf((type) => type === BINLOG_TYPE.enum);
  const sets = indexesOf((type) => type === BINLOG_TYPE.set);
  const enumsAndSets = indexesOf((type) => type === BINLOG_TYPE.enum || type === BINLOG_TYPE.set);
  const characters = indexesOf((type) => CHARACTER_TYPES.has(type) || (mariadb && type === BINLOG_TYPE.geometry));
  const metadata: Metadata = { names: [], unsigned: [], collations: [], labels: [] };
  while (!body.done) {
    const field = body.u8();
    const length = body.length();
    const part = new PacketReader(body.bytes, body.at, body.at + length);
    switch (field) {
      case FIELD.signedness:
        numeric.forEach((column, index) => {
          metadata.unsigned[column] = (part.bytes[part.at + (index >> 3)]! & (0x80 >> (index & 7))) !== 0;
        });
        break;
      case FIELD.columnName:
        while (!part.done) metadata.names.push(part.text());
        break;
      case FIELD.defaultCharset:
        readDefaultCharset(part, characters, metadata.collations);
        break;
      case FIELD.columnCharset:
        for (const column of characters) metadata.collations[column] = part.length();
        break;
      case FIELD.enumAndSetDefaultCharset:
        readDefaultCharset(part, enumsAndSets, metadata.collations);
        break;
      case FIELD.enumAndSetColumnCharset:
        for (const column of enumsAndSets) metadata.collations[column] = part.length();
        break;
      case FIELD.setLabels:
        for (const column of sets) metadata.labels[column] = readLabels(part);
        break;
      case FIELD.enumLabels:
        for (const column of enums) metadata.labels[column] = readLabels(part);
        break;
      default:
    }
    body.at += length;
  }
  return metadata;
}

/** A default for all the columns, then pairs of (which of them, another one). */
function readDefaultCharset(part: PacketReader, columns: readonly number[], into: (number | undefined)[]): void {
  const common = part.length();
  for (const column of columns) into[column] = common;
  while (!part.done) {
    const column = columns[part.length()];
    const collation = part.length();
    if (column !== undefined) into[column] = collation;
  }
}

function readLabels(part: PacketReader): Buffer[] {
  return Array.from({ length: part.length() }, () => Buffer.from(part.take(part.length())));
}
