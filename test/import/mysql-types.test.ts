import { describe, expect, it } from 'vitest';
import { importFixture, mysqlOfFile } from './fixture.ts';
import { BOTH, copyEdges, expectCopiedAsStreamed, MYSQL } from './types-at-edges.ts';

const mysql = mysqlOfFile();
const EDGES = { ...BOTH, ...MYSQL };

describe('every type of MySQL at its edges', () => {
  it('comes out the same, byte for byte, copied and streamed', async () => {
    await expectCopiedAsStreamed(await importFixture(mysql()), EDGES);
  });

  it('holds the values of the source', async () => {
    const cell = await copyEdges(await importFixture(mysql()), EDGES);
    expect(cell('bigint unsigned', 0)).toBe('18446744073709551615');
    expect(cell('double', 3)).toBe('-2.2250738585072014e-308');
    expect(cell('double', 4)).toBe('-1.7976931348623157e+308');
    expect(cell('vector(3)', 0)).toBe('\\x0000c03f000000c07684df50');
    expect(cell('varchar(80) character set gb18030', 0)).toBe('中文😀');
    expect(cell('char(10) character set latin1', 0)).toBe('é€ü');
    expect(cell('json', 3)).toBe('"text"');
    expect(cell('json', 8)).toBe('{"d": 1.50, "n": -12345678901234567890.123456789}');
    expect(cell("enum('a','b,c','it''s','d\\\\e','é😀')", 4)).toBe('é😀');
  });

  it('prints binary JSON of the binlog as the server does, character for character', async () => {
    const type_override = { json: { override_to: 'json', override_tables: '*' } };
    const f = await importFixture(mysql(), { config: { type_override } });
    await f.source('create table t (id int primary key, j json)');
    await f.init();
    await f.start();
    for (const [id, value] of MYSQL.json!.entries()) await f.source(`insert into t values (${id}, ${value})`);
    await f.caughtUp();
    const theirs = await f.source('select id, cast(j as char) as j from t order by id');
    expect(await f.rows(`select id, j::text as j from ${f.schema}.t order by id`)).toEqual(theirs);
  });
});
