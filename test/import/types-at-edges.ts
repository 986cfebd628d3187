// Every type of MySQL and MariaDB with its edges, and whether they come out the same by every way in.
import { expect } from 'vitest';
import { type ImportFixture, textRows } from './fixture.ts';

/** Column definition → values, as SQL; each value is a row of its own. */
export type Edges = Readonly<Record<string, readonly string[]>>;

/** Types that both servers have. */
export const BOTH: Edges = {
  tinyint: ['-128', '127', '0'],
  'tinyint unsigned': ['255', '0'],
  'tinyint(1)': ['0', '1', '-5'],
  smallint: ['-32768', '32767'],
  'smallint unsigned': ['65535'],
  mediumint: ['-8388608', '8388607'],
  'mediumint unsigned': ['16777215'],
  int: ['-2147483648', '2147483647', '-1'],
  'int unsigned': ['4294967295'],
  'int(8) unsigned zerofill': ['42'],
  bigint: ['-9223372036854775808', '9223372036854775807', '9007199254740993', '-9007199254740993'],
  'bigint unsigned': ['18446744073709551615', '9007199254740993'],
  'decimal(65,30)': [
    '12345678901234567890123456789012345.123456789012345678901234567890',
    '-12345678901234567890123456789012345.123456789012345678901234567890',
    '0.000000000000000000000000000001',
    '-0.5',
  ],
  'decimal(10,2)': ['-99999999.99', '99999999.99', '0', '-0.01', '100000000.00 - 0.01'],
  'decimal(18,9)': ['123456789.000000001', '-1.1'],
  'decimal(9,0)': ['999999999', '-1'],
  'decimal(3,3)': ['0.999', '-0.001'],
  float: ['1.1', '16777216', '-1e-38', '3.4028234e38', '1e15', '0.1', '-0e0', '123456.789'],
  'float(7,3)': ['1234.567', '-0.001', '-0e0'],
  double: [
    '1.1',
    '1.7976931348623157e308',
    '5e-324',
    '-2.2250738585072014e-308',
    '-1.7976931348623157e308',
    '-1.2345678901234567e-100',
    '-1.2345678901234567e-8',
    '1e15',
    '123456789012345678',
    '-0e0',
    '0.1e0+0.2e0',
  ],
  'double(10,2)': ['12345678.91', '-0.01', '-0e0'],
  'bit(1)': ["b'1'", "b'0'"],
  'bit(8)': ["b'101'", "b'11111111'"],
  'bit(64)': [
    "b'1111111111111111111111111111111111111111111111111111111111111111'",
    "b'1'",
    "b'1000000000000000000000000000000000000000000000000000000000000000'",
  ],
  year: ['2024', '1901', '2155', '0'],
  date: ["'2024-02-29'", "'1000-01-01'", "'9999-12-31'", "'0001-01-01'"],
  datetime: ["'2024-02-29 23:59:59'", "'0001-01-01 00:00:00'"],
  'datetime(1)': ["'2024-02-29 23:59:59.9'"],
  'datetime(3)': ["'2024-02-29 23:59:59.999'", "'2024-01-01 00:00:00.001'"],
  'datetime(6)': ["'9999-12-31 23:59:59.999999'", "'2024-01-01 00:00:00.000001'"],
  'timestamp null': ["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "'2024-07-01 12:00:00'"],
  'timestamp(6) null': ["'2024-07-01 12:00:00.000001'", "'2038-01-19 03:14:07.999999'"],
  time: ["'-838:59:59'", "'838:59:59'", "'00:00:00'", "'-00:01:00'", "'-01:00:00'", "'-00:00:01'", "'24:00:00'"],
  'time(1)': ["'-00:00:00.5'", "'00:00:00.1'"],
  'time(3)': ["'-00:00:00.001'", "'-00:01:00.999'", "'100:00:00.5'", "'-01:00:00'"],
  'time(6)': ["'-838:59:58.999999'", "'-00:00:00.000001'", "'00:00:59.5'", "'-00:01:00'", "'-12:00:00.5'"],
  'char(10)': ["'ab'", "'ab   '", "''", "'😀é'", "'  x'"],
  'varchar(300)': [
    "'tab\\there'",
    "'new\\nline'",
    "'back\\\\slash'",
    "'cr\\rhere'",
    "'ab  '",
    "'\\\\N'",
    "'quote\\'s \"'",
    "'😀 \\\\t'",
    "''",
  ],
  'char(10) character set latin1': ["'é€ü'", "x'81808d'"],
  'varchar(80) character set latin1': ["'naïve €'", "x'808182ff'"],
  'varchar(80) character set cp1251': ["'привет'"],
  'varchar(80) character set koi8r': ["'привет'"],
  'varchar(80) character set greek': ["'αβγ'"],
  'varchar(80) character set sjis': ["'日本語テスト'", "'ソ表'"],
  'varchar(80) character set gbk': ["'中文字'"],
  'varchar(80) character set big5': ["'中文字'"],
  'varchar(80) character set euckr': ["'한국어'"],
  'varchar(80) character set ujis': ["'日本語'"],
  'varchar(80) character set ucs2': ["'naïve ж中'"],
  'varchar(80) character set utf16': ["'naïve 😀'"],
  'varchar(80) character set utf32': ["'naïve 😀'"],
  'varchar(80) character set utf8mb3': ["'naïve ж中'"],
  'varchar(80) collate utf8mb4_unicode_ci': ["'é'"],
  'varchar(80) collate utf8mb4_bin': ["'é'"],
  tinytext: ["'tiny'"],
  text: ["'text \\t \\n 😀'", "repeat('x', 60000)"],
  'mediumtext character set latin1': ["'é€'"],
  longtext: ["'long'"],
  'binary(4)': ["x'00ff00'", "x'ff000000'", "x'00000000'", "'ab'"],
  'varbinary(10)': ["x'00ff00fe'", "''", "x'5c4e'"],
  tinyblob: ["x'00ff'"],
  blob: ["x'ff00fe'", "x''", "repeat(x'00ff5c0a', 1000)"],
  mediumblob: ["x'ff'"],
  longblob: ["x'ff'"],
  "enum('a','b,c','it''s','d\\\\e','é😀')": ["'a'", "'b,c'", "'it''s'", "'d\\\\e'", "'é😀'"],
  "enum('x','ü') character set latin1": ["'ü'"],
  "set('a','b','c''d','e\"f','g\\\\h','i j')": ["''", "'a,b'", "'c''d,e\"f'", "'g\\\\h'", "'a,b,c''d,e\"f,g\\\\h,i j'"],
  point: ["ST_GeomFromText('POINT(1 2)')", "ST_GeomFromText('POINT(-1.5 2.25)', 4326)"],
  geometry: [
    "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))')",
    "ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))', 3857)",
  ],
};

/** JSON is text there. */
export const MARIADB: Edges = {
  'time(6) null': ["'-838:59:59.999999'"],
  json: ['\'{"a": [1, 2.50, {"b": null}], "c": "😀\\\\n"}\'', "'null'", "'[]'", '\'"text"\'', '\'{"dup":1,"dup":2}\''],
  uuid: [
    "'123e4567-e89b-12d3-a456-426655440000'",
    "'00000000-0000-0000-0000-000000000001'",
    "'ffffffff-ffff-4fff-bfff-ffffffffff00'",
    "'018f0000-0000-7000-8000-000000000000'",
  ],
  inet6: ["'::1'", "'2001:db8::ff00:42:8329'", "'::ffff:192.0.2.128'", "'::'"],
  inet4: ["'192.0.2.128'", "'0.0.0.0'", "'10.0.0.0'"],
  'varchar(200) compressed': ["repeat('compress me ', 10)", "''", "'x'"],
  'blob compressed': ["repeat(x'00ff', 500)", "x'ff'"],
};

/** JSON is binary there. */
export const MYSQL: Edges = {
  json: [
    `'{"a": [1, 2.50, {"b": null}], "c": "😀\\\\n\\\\u0001\\\\/", "": -1, "long key ${'k'.repeat(200)}": true}'`,
    "'null'",
    "'[]'",
    `'"text"'`,
    `'{"dup":1,"dup":2, "bb": 1, "c": 2}'`,
    "'[-32768, 65535, -2147483648, 4294967295, -9223372036854775808, 18446744073709551615, 18446744073709551616]'",
    "'[1.0, 1e20, 1e100, -1.5e-9, 123456789012345680, 0.1, 1e15, 1e16, 1e17, 5e-324, 1.7976931348623157e308, -0.0, 0.0]'",
    "'[1e14, 999999999999999.0, 1e-14, 1e-15, 1e-16, 1e-17, 12345678901234.5, 1.5e-14, -3.0, 1.2345678901234567e-15]'",
    "json_object('d', cast(1.50 as decimal(10,2)), 'n', cast(-12345678901234567890.123456789 as decimal(40,9)))",
    "json_array(date'2024-02-29', time'-12:34:56.789', timestamp'2024-02-29 23:59:59.000001', cast('0000-00-00' as char))",
    "json_object('bits', b'101', 'bytes', x'00ff', 'text', cast('a' as char))",
    "json_array(true, false, null, '', ' ', '\\\\', '\"', '\\t')",
    `concat('["', repeat('x', 70000), '", {"deep": [[[[]]]], "after": 1}]')`,
    `concat('[', repeat('123456789,', 9000), '1]')`,
    "'{}'",
    "'12345678901234567890123'",
    "'false'",
    'cast(cast(0.1 as decimal(3,2)) as json)',
  ],
  'vector(3)': ["to_vector('[1.5,-2,3e10]')", "to_vector('[0,0,0]')"],
  'varchar(40) collate utf8mb4_0900_ai_ci': ["'é😀'", "'a '"],
  'varchar(40) collate utf8mb4_0900_bin': ["'é😀'", "'a '"],
  'char(4) collate utf8mb4_ja_0900_as_cs': ["'日本'", "'a '"],
  'varchar(40) collate utf8mb4_zh_0900_as_cs': ["'中文'"],
  'varchar(80) character set gb18030': ["'中文😀'"],
  'varchar(80) character set utf16le': ["'naïve 😀'"],
  'point srid 4326': ["ST_GeomFromText('POINT(48 16.5)', 4326)"],
};

function createTable(edges: Edges): string {
  const columns = Object.keys(edges).map((type, index) => `c${index} ${type}`);
  return `create table every (id int primary key, ${columns.join(', ')})`;
}

const depthOf = (edges: Edges): number => Math.max(...Object.values(edges).map((values) => values.length));

function insert(edges: Edges, id: number, row: number): string {
  const values = Object.values(edges).map((list) => list[row] ?? 'null');
  return `insert into every values (${id}, ${values.join(', ')})`;
}

/** Copies every value, inserts it, and updates a row to it: what arrives has to be the same text three times. */
export async function expectCopiedAsStreamed(f: ImportFixture, edges: Edges): Promise<void> {
  await f.source(createTable(edges));
  const depth = depthOf(edges);
  for (let row = 0; row < depth; row++) await f.source(insert(edges, row, row));
  await f.init();
  await f.start();
  for (let row = 0; row < depth; row++) await f.source(insert(edges, 1_000 + row, row));
  // An update writes the row through the other kind of event
  for (let row = 0; row < depth; row++) {
    await f.source(insert(edges, 2_000 + row, depth));
    const sets = Object.values(edges).map((list, index) => `c${index} = ${list[row] ?? 'null'}`);
    await f.source(`update every set ${sets.join(', ')} where id = ${2_000 + row}`);
  }
  await f.caughtUp();
  expect(await f.rows('select table_name, message from hypervault.import_error')).toEqual([]);
  const rows = new Map(
    (await textRows(f.target, `select * from ${f.schema}.every`)).map((row) => [Number(row.id), row]),
  );
  expect(rows.size).toBe(depth * 3);
  for (let row = 0; row < depth; row++) {
    for (const [index, type] of Object.keys(edges).entries()) {
      const [copied, inserted, updated] = [row, 1_000 + row, 2_000 + row].map((id) => rows.get(id)![`c${index}`]);
      expect({ type, row, inserted, updated }).toEqual({ type, row, inserted: copied, updated: copied });
    }
  }
}

/** Copies every value; the function returned gives the text of one in the target. */
export async function copyEdges(
  f: ImportFixture,
  edges: Edges,
): Promise<(type: string, row: number) => string | null | undefined> {
  await f.source(createTable(edges));
  for (let row = 0; row < depthOf(edges); row++) await f.source(insert(edges, row, row));
  await f.init();
  const target = await textRows(f.target, `select * from ${f.schema}.every order by id`);
  return (type, row) => target[row]![`c${Object.keys(edges).indexOf(type)}`];
}
