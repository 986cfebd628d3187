import fc from 'fast-check';
import { describe, expect, expectTypeOf, it } from 'vitest';
import {
  defineKind,
  type FieldCodec,
  field,
  InvalidBodyError,
  type KindInput,
  type KindOutput,
  StoredBodyError,
} from '../../src/core/index.ts';
import { ConfigurationError } from '../../src/errors.ts';

const User = defineKind({
  id: 2,
  name: 'user',
  fields: {
    name: field.string,
    age: field.int,
    balance: field.bigint,
    score: field.float,
    active: field.boolean,
    born: field.optional(field.date),
    tags: field.json<string[]>(),
    note: field.optional(field.string),
  },
});

const ada = { name: 'Ada', age: 36, balance: 2n ** 70n, score: 0.1, active: true, tags: ['a"b', '\\'] };
const stored = {
  name: 'Ada',
  age: '36',
  balance: '1180591620717411303424',
  score: '0.1',
  active: 'true',
  tags: '["a\\"b","\\\\"]',
};

describe('defineKind', () => {
  it('infers what is read and what is written', () => {
    expectTypeOf<KindOutput<typeof User>>().toEqualTypeOf<{
      name: string;
      age: number;
      balance: bigint;
      score: number;
      active: boolean;
      born: Date | null;
      tags: string[];
      note: string | null;
    }>();
    expectTypeOf<KindInput<typeof User>['age']>().toEqualTypeOf<number>();
    expectTypeOf<KindInput<typeof User>['born']>().toEqualTypeOf<Date | null | undefined>();
    expectTypeOf<Omit<KindInput<typeof User>, 'age'>>().not.toExtend<KindInput<typeof User>>();
  });

  it('writes texts and reads them back', () => {
    expect(User.encode(ada)).toEqual(stored);
    expect(User.decode(stored)).toEqual({ ...ada, born: null, note: null });
    const born = new Date('1815-12-10T00:00:00Z');
    const withAll = { ...ada, born, note: null };
    expect(User.encode(withAll)).toEqual({ ...stored, born: '1815-12-10T00:00:00.000Z', note: null });
    expect(User.decode(User.encode(withAll))).toEqual(withAll);
    expect(User.decode({ ...stored, later: 'x' })).not.toHaveProperty('later');
  });

  it('writes some fields', () => {
    expect(User.encodeSome({ age: 37, born: null, name: undefined })).toEqual({ age: '37', born: null });
  });

  it.each([
    [{ ...ada, age: 1.5 }, 'age', /user: the field "age" is a number; it takes a whole number/],
    [{ ...ada, age: '36' }, 'age', /is a string/],
    [{ ...ada, age: null }, 'age', /"age" is null/],
    [{ ...ada, age: undefined }, 'age', /"age" is missing/],
    [{ ...ada, balance: 3 }, 'balance', /it takes a bigint/],
    [{ ...ada, active: 1 }, 'active', /it takes true or false/],
    [{ ...ada, born: '1815-12-10' }, 'born', /it takes a valid Date/],
    [{ ...ada, born: new Date(Number.NaN) }, 'born', /it takes a valid Date/],
    [{ ...ada, tags: 1n }, 'tags', /it takes a value that JSON holds/],
    [{ ...ada, tags: () => {} }, 'tags', /a function/],
    [{ ...ada, agee: 1 }, 'agee', /unknown field "agee"; did you mean "age"\?/],
    [null, undefined, /the body is null/],
  ])('refuses %o', (input, name, message) => {
    const encode = (): unknown => User.encode(input as unknown as KindInput<typeof User>);
    expect(encode).toThrow(InvalidBodyError);
    expect(encode).toThrow(message);
    expect(encode).toThrow(expect.objectContaining({ field: name }));
  });

  it.each([
    [{ age: 'x' }, 'age', /user: the stored field "age" does not hold a whole number/],
    [{ age: '9007199254740993' }, 'age', /whole number/],
    [{ age: null }, 'age', /is missing/],
    [{ active: 'maybe' }, 'active', /true or false/],
    [{ born: '1815-12-10' }, 'born', /a valid Date/],
    [{ tags: '[' }, 'tags', /JSON/],
    [{ score: '0x10' }, 'score', /a number/],
  ])('says what is stored wrong: %o', (wrong, name, message) => {
    const decode = (): unknown => User.decode({ ...stored, ...wrong });
    expect(decode).toThrow(StoredBodyError);
    expect(decode).toThrow(message);
    expect(decode).toThrow(expect.objectContaining({ field: name, kind: 'user' }));
  });

  it('does not take what objects inherit for fields', () => {
    const Odd = defineKind({ id: 1, name: 'odd', fields: { constructor: field.optional(field.json<unknown>()) } });
    expect(Odd.encode({})).toEqual({});
    expect(Odd.decode({})).toEqual({ constructor: null });
  });

  it.each([
    [{ id: 40_000, name: 'x', fields: {} }, /id is a smallint/],
    [{ id: 1, name: '', fields: {} }, /name must be a text/],
    [{ id: 1, name: 'x', fields: { a: 'string' } }, /x\.a is no field/],
    [{ id: 1, name: 'x', fields: {}, kind: 3 }, /unknown key "kind"/],
  ])('refuses the definition %o', (definition, message) => {
    expect(() => defineKind(definition as unknown as Parameters<typeof defineKind>[0])).toThrow(ConfigurationError);
    expect(() => defineKind(definition as unknown as Parameters<typeof defineKind>[0])).toThrow(message);
  });
});

describe('field codecs', () => {
  const codecs: [string, FieldCodec<unknown>, fc.Arbitrary<unknown>][] = [
    ['string', field.string, fc.string()],
    ['int', field.int, fc.maxSafeInteger()],
    ['bigint', field.bigint, fc.bigInt()],
    ['float', field.float, fc.double()],
    ['boolean', field.boolean, fc.boolean()],
    ['date', field.date, fc.date({ noInvalidDate: true })],
    ['json', field.json(), fc.jsonValue()],
  ];
  it.each(codecs)('%s comes back as it was', (_name, codec, values) => {
    fc.assert(
      fc.property(values, (value) => {
        const text = codec.encode(value);
        // JSON has no −0.
        expect(codec.decode(text!)).toEqual(
          codec.description.includes('JSON') ? JSON.parse(JSON.stringify(value)) : value,
        );
      }),
      { numRuns: 1_000 },
    );
  });

  it('reads what Postgres writes for the same types', () => {
    expect(field.float.decode('-Infinity')).toBe(Number.NEGATIVE_INFINITY);
    expect(field.float.decode('1e+20')).toBe(1e20);
    expect(field.boolean.decode('t')).toBe(true);
  });
});
