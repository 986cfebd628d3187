import { describe, expect, it } from 'vitest';
import { importFixture, mariadbOfFile } from './fixture.ts';
import { BOTH, copyEdges, expectCopiedAsStreamed, MARIADB } from './types-at-edges.ts';

const mariadb = mariadbOfFile();
const EDGES = { ...BOTH, ...MARIADB };

describe('every type at its edges', () => {
  it('comes out the same, byte for byte, copied and streamed', async () => {
    await expectCopiedAsStreamed(await importFixture(mariadb()), EDGES);
  });

  it('holds the values of the source', async () => {
    const cell = await copyEdges(await importFixture(mariadb()), EDGES);
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
    expect(cell('time(6) null', 0)).toBe('-838:59:59.999999');
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
