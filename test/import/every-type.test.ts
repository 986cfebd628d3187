import { describe, expect, it } from 'vitest';
import { importFixture, mariadbOfFile, textRows } from './fixture.ts';

const mariadb = mariadbOfFile();

/** Column definition → values, as SQL; each value is a row of its own. */
const COLUMNS: Record<string, readonly string[]> = {
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
  'float(7,3)': ['1234.567', '-0.001'],
  double: [
    '1.1',
    '1.7976931348623157e308',
    '5e-324',
    '-2.2250738585072014e-308',
    '1e15',
    '123456789012345678',
    '-0e0',
    '0.1e0+0.2e0',
  ],
  'double(10,2)': ['12345678.91', '-0.01'],
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
  'time(6)': ["'-838:59:59.999999'", "'-00:00:00.000001'", "'00:00:59.5'", "'-00:01:00'", "'-12:00:00.5'"],
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
  json: ['\'{"a": [1, 2.50, {"b": null}], "c": "😀\\\\n"}\'', "'null'", "'[]'", '\'"text"\'', '\'{"dup":1,"dup":2}\''],
  uuid: [
    "'123e4567-e89b-12d3-a456-426655440000'",
    "'00000000-0000-0000-0000-000000000001'",
    "'ffffffff-ffff-4fff-bfff-ffffffffff00'",
    "'018f0000-0000-7000-8000-000000000000'",
  ],
  inet6: ["'::1'", "'2001:db8::ff00:42:8329'", "'::ffff:192.0.2.128'", "'::'"],
  inet4: ["'192.0.2.128'", "'0.0.0.0'", "'10.0.0.0'"],
  point: ["ST_GeomFromText('POINT(1 2)')", "ST_GeomFromText('POINT(-1.5 2.25)', 4326)"],
  geometry: [
    "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))')",
    "ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))', 31337)",
  ],
  'varchar(200) compressed': ["repeat('compress me ', 10)", "''", "'x'"],
  'blob compressed': ["repeat(x'00ff', 500)", "x'ff'"],
};

const definitions = Object.entries(COLUMNS);
const name = (index: number): string => `c${index}`;

describe('every type at its edges', () => {
  it('comes out the same, byte for byte, copied and streamed', async () => {
    const f = await importFixture(mariadb());
    const columns = definitions.map(([type], index) => `${name(index)} ${type}`);
    await f.source(`create table every (id int primary key, ${columns.join(', ')})`);
    const depth = Math.max(...definitions.map(([, values]) => values.length));
    const insert = (id: number, row: number): string => {
      const values = definitions.map(([, list]) => list[row] ?? 'null');
      return `insert into every values (${id}, ${values.join(', ')})`;
    };
    for (let row = 0; row < depth; row++) await f.source(insert(row, row));
    await f.init();
    await f.start();
    for (let row = 0; row < depth; row++) await f.source(insert(1_000 + row, row));
    // An update writes the row through the other kind of event
    for (let row = 0; row < depth; row++) {
      await f.source(insert(2_000 + row, depth));
      const sets = definitions.map(([, list], index) => `${name(index)} = ${list[row] ?? 'null'}`);
      await f.source(`update every set ${sets.join(', ')} where id = ${2_000 + row}`);
    }
    await f.caughtUp();
    expect(await f.rows('select table_name, message from hypervault.import_error')).toEqual([]);
    const rows = new Map(
      (await textRows(f.target, `select * from ${f.schema}.every`)).map((row) => [Number(row.id), row]),
    );
    expect(rows.size).toBe(depth * 3);
    for (let row = 0; row < depth; row++) {
      for (const [index, [type]] of definitions.entries()) {
        const [copied, inserted, updated] = [row, 1_000 + row, 2_000 + row].map((id) => rows.get(id)![name(index)]);
        expect({ type, row, inserted, updated }).toEqual({ type, row, inserted: copied, updated: copied });
      }
    }
  });

  it('holds the values of the source', async () => {
    const f = await importFixture(mariadb());
    const columns = definitions.map(([type], index) => `${name(index)} ${type}`);
    await f.source(`create table every (id int primary key, ${columns.join(', ')})`);
    const depth = Math.max(...definitions.map(([, values]) => values.length));
    for (let row = 0; row < depth; row++) {
      await f.source(
        `insert into every values (${row}, ${definitions.map(([, list]) => list[row] ?? 'null').join(', ')})`,
      );
    }
    await f.init();
    const target = await textRows(f.target, `select * from ${f.schema}.every order by id`);
    const cell = (type: string, row: number): string | null | undefined =>
      target[row]![name(definitions.findIndex(([t]) => t === type))];
    expect(cell('int unsigned', 0)).toBe('4294967295');
    expect(cell('bigint unsigned', 0)).toBe('18446744073709551615');
    expect(cell('decimal(65,30)', 1)).toBe('-12345678901234567890123456789012345.123456789012345678901234567890');
    expect(cell('float', 0)).toBe('1.1');
    expect(cell('float', 1)).toBe('1.6777216e+07');
    expect(cell('double', 2)).toBe('5e-324');
    expect(cell('bit(8)', 0)).toBe('00000101');
    expect(cell('bit(64)', 0)).toBe('1'.repeat(64));
    expect(cell('time', 0)).toBe('-838:59:59');
    expect(cell('time', 3)).toBe('-00:01:00');
    expect(cell('time(6)', 0)).toBe('-838:59:59.999999');
    expect(cell('year', 3)).toBe('0');
    expect(cell('binary(4)', 0)).toBe('\\x00ff0000');
    expect(cell('blob', 0)).toBe('\\xff00fe');
    expect(cell('char(10)', 1)).toBe('ab');
    expect(cell('varchar(300)', 5)).toBe('\\N');
    expect(cell('varchar(300)', 7)).toBe('😀 \\t');
    expect(cell('char(10) character set latin1', 0)).toBe('é€ü');
    expect(cell('varchar(80) character set sjis', 1)).toBe('ソ表');
    expect(cell("enum('a','b,c','it''s','d\\\\e','é😀')", 1)).toBe('b,c');
    expect(cell("set('a','b','c''d','e\"f','g\\\\h','i j')", 2)).toBe('{c\'d,"e\\"f"}');
    expect(cell('json', 4)).toBe('{"dup":1,"dup":2}');
    expect(cell('uuid', 0)).toBe('123e4567-e89b-12d3-a456-426655440000');
    expect(cell('inet6', 1)).toBe('2001:db8::ff00:42:8329');
    // 0x20000000 in the type says that the SRID follows: 4326 is 0x10e6
    expect(cell('point', 1)).toMatch(/^\\x0101000020e6100000/);
  });
});
