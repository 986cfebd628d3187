/** Type codes of columns in TABLE_MAP events (enum_field_types in MySQL's include/field_types.h). */
export const BINLOG_TYPE = {
  tiny: 1,
  short: 2,
  long: 3,
  float: 4,
  double: 5,
  timestamp: 7,
  longlong: 8,
  int24: 9,
  date: 10,
  time: 11,
  datetime: 12,
  year: 13,
  varchar: 15,
  bit: 16,
  timestamp2: 17,
  datetime2: 18,
  time2: 19,
  /** MariaDB: TEXT or BLOB with the attribute COMPRESSED. */
  blobCompressed: 140,
  /** MariaDB: VARCHAR or VARBINARY with the attribute COMPRESSED. */
  varcharCompressed: 141,
  vector: 242,
  json: 245,
  newdecimal: 246,
  enum: 247,
  set: 248,
  tinyBlob: 249,
  mediumBlob: 250,
  longBlob: 251,
  blob: 252,
  varString: 253,
  string: 254,
  geometry: 255,
} as const;

const T = BINLOG_TYPE;

/** Columns counted by the bitmap of signedness. */
export const NUMERIC_TYPES: ReadonlySet<number> = new Set<number>([
  T.tiny,
  T.short,
  T.int24,
  T.long,
  T.longlong,
  T.newdecimal,
  T.float,
  T.double,
  T.year,
]);

/** Columns counted by the lists of character sets, ENUM and SET apart. */
export const CHARACTER_TYPES: ReadonlySet<number> = new Set<number>([
  T.varchar,
  T.varString,
  T.string,
  T.blob,
  T.tinyBlob,
  T.mediumBlob,
  T.longBlob,
  T.blobCompressed,
  T.varcharCompressed,
  // MySQL's, which is a BLOB to this list, as GEOMETRY is to MariaDB's
  T.vector,
]);
