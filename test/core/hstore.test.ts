import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvalidBodyError } from '../../src/core/errors.ts';
import { decodeHstore, encodeHstore, type HstoreBody } from '../../src/core/hstore.ts';

/** As `hstore_out` of the server writes it. */
function asServerWrites(entries: readonly (readonly [string, string | null])[]): string {
  const quoted = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`;
  return entries.map(([field, value]) => `${quoted(field)}=>${value === null ? 'NULL' : quoted(value)}`).join(', ');
}

const awkward = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: fc.constantFrom('"', '\\', "'", ',', ' ', '=', '>', '\n', 'N', '{', '🐘') }),
  fc.constantFrom('', 'NULL', 'null', '__proto__', 'constructor', '=>', '", "', '\\', '"', "''"),
);

describe('decodeHstore', () => {
  it('reads what a server writes', () => {
    const body = fc.uniqueArray(fc.tuple(awkward, fc.option(awkward)), { selector: ([field]) => field });
    fc.assert(
      fc.property(body, (entries) => {
        expect(Object.entries(decodeHstore(asServerWrites(entries))).sort()).toEqual([...entries].sort());
      }),
      { numRuns: 2_000 },
    );
  });

  it('makes ordinary objects, and __proto__ a field like any other', () => {
    expect(decodeHstore('')).toStrictEqual({});
    expect(decodeHstore('"beep"=>"boop"')).toStrictEqual({ beep: 'boop' });
    const body = decodeHstore('"__proto__"=>"x", "a"=>NULL');
    expect(Object.getPrototypeOf(body)).toBe(Object.prototype);
    expect(Object.entries(body)).toEqual([
      ['__proto__', 'x'],
      ['a', null],
    ]);
    expect(({} as HstoreBody).x).toBeUndefined();
  });

  it('reads a megabyte of escapes in linear time', () => {
    const value = '\\"'.repeat(500_000);
    const start = performance.now();
    expect(
      decodeHstore(
        asServerWrites([
          ['a', value],
          ['b', value],
        ]),
      ).b,
    ).toBe(value);
    expect(performance.now() - start).toBeLessThan(2_000);
  });

  it.each([
    'a',
    '"a',
    '"a"',
    '"a"=',
    '"a"=>',
    '"a"=>N',
    '"a"=>"b',
    '"a"=>"b\\"',
    '"a"=>"b",',
    '"a"=>"b", ',
    '"a"=>"b","c"=>"d"',
    '"a"=>"b" ',
    '=>',
    '{"a":"b"}',
    '"\\',
  ])('refuses %s', (text) => {
    expect(() => decodeHstore(text)).toThrow(InvalidBodyError);
  });
});

describe('encodeHstore', () => {
  it('writes literals that hstore_in reads', () => {
    expect(encodeHstore({})).toBe('');
    expect(encodeHstore({ beep: 'boop', none: null, text: 'NULL' })).toBe('"beep"=>"boop","none"=>NULL,"text"=>"NULL"');
    expect(encodeHstore({ 'a"b': 'it\'s \\ "x"' })).toBe(String.raw`"a\"b"=>"it's \\ \"x\""`);
    expect(encodeHstore(JSON.parse('{"__proto__":"x\\""}') as HstoreBody)).toBe(String.raw`"__proto__"=>"x\""`);
    expect(encodeHstore(JSON.parse('{"__proto__":"x"}') as HstoreBody)).toBe('"__proto__"=>"x"');
  });

  it.each([
    [{ age: 3 }, 'age', /the field "age" is neither a text nor null but a number; convert it/],
    [{ at: new Date() }, 'at', /a Date/],
    [{ list: ['a'] }, 'list', /a list/],
    [{ deep: {} }, 'deep', /an object/],
    [{ id: 3n }, 'id', /a bigint/],
    [{ ok: true }, 'ok', /a boolean/],
    [{ gone: undefined }, 'gone', /undefined; use null, or leave it out/],
    [{ text: 'a\0b' }, 'text', /the field "text" holds a NUL character/],
    [{ text: 'a\ud800' }, 'text', /half of a surrogate pair/],
    [{ 'a\0': 'b' }, 'a\0', /the name of the field "a\\u0000" holds a NUL/],
    [{ '\udfff': 'b' }, '\udfff', /half of a surrogate pair/],
  ])('refuses %o, naming the field', (body, field, message) => {
    try {
      encodeHstore(body as unknown as HstoreBody);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(InvalidBodyError);
      expect(error).toMatchObject({ field, code: 'INVALID_BODY', message: expect.stringMatching(message) });
    }
  });

  it.each([[null], [undefined], ['a=>b'], [['a']], [new Map([['a', 'b']])], [new (class User {})()], [3]])(
    'refuses the body %o',
    (body) => {
      expect(() => encodeHstore(body as unknown as HstoreBody)).toThrow(/a body is a plain object/);
    },
  );

  it('never shows values in an error', () => {
    expect(() => encodeHstore({ secret: 'hunter2\0' })).toThrow(/^(?!.*hunter2)/);
  });
});
