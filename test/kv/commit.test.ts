import { describe, expect, test } from 'vitest';
import { InvalidArgumentError } from '../../src/errors.ts';
import {
  Commit,
  CommitFormatError,
  fromEnvelope,
  jsonCodec,
  jsonObjectCodec,
  parseCommitMeta,
  toEnvelope,
} from '../../src/kv/index.ts';

const base = {
  key: 'foo',
  version: 3,
  payload: Buffer.from('{"hey":"what"}'),
  author: 'me',
  comment: 'why',
  mtime: new Date(2),
};

describe('Commit', () => {
  test('meta JSON has exactly the six fields, in order, with their types', () => {
    expect(JSON.stringify(new Commit(base).meta)).toBe(
      '{"key":"foo","version":3,"author":"me","comment":"why","mtime":"1970-01-01T00:00:00.002Z","empty":false}',
    );
    expect(new Commit({ ...base, payload: null }).meta.empty).toBe(true);
  });

  test('text form counts bytes with thousands separators', () => {
    expect(String(new Commit({ ...base, payload: Buffer.alloc(12_345) }))).toBe(
      'Commit(foo,3,[12,345 bytes],me,why,1970-01-01T00:00:00.002Z)',
    );
    expect(String(new Commit({ ...base, payload: null }))).toContain('[empty]');
  });

  test('zero bytes are a payload, null is a tombstone, nothing at all is a mistake', () => {
    expect(new Commit({ ...base, payload: Buffer.alloc(0) }).isEmpty).toBe(false);
    expect(new Commit({ ...base, payload: null }).isEmpty).toBe(true);
    expect(new Commit({ ...base, payload: null, empty: true }).isEmpty).toBe(true);
    expect(() => new Commit({ key: 'foo', version: 1 } as never)).toThrow(/no payload; a tombstone is made with/);
    expect(() => new Commit({ ...base, empty: true })).toThrow(/empty and payload must match/);
    expect(() => new Commit({ ...base, payload: null, empty: false })).toThrow(/empty and payload must match/);
  });

  test.each([
    ['key', { key: '' }],
    ['key', { key: 'a\0b' }],
    ['key', { key: 'x'.repeat(513) }],
    ['key', { key: '\ud800' }],
    ['key', { key: 7 as never }],
    ['version', { version: 1.5 }],
    ['version', { version: 2 ** 31 }],
    ['version', { version: '1' as never }],
    ['author', { author: 'a\0' }],
    ['comment', { comment: 'é'.repeat(4097) }],
    ['mtime', { mtime: new Date(Number.NaN) }],
    ['payload', { payload: 'text' as never }],
  ])('refuses a wrong %s', (field, wrong) => {
    expect(() => new Commit({ ...base, ...wrong })).toThrow(InvalidArgumentError);
    expect(() => new Commit({ ...base, ...wrong })).toThrow(field);
  });

  test('equality looks at every field but the revision', () => {
    const commit = new Commit(base);
    expect(commit.equals(new Commit({ ...base, mtime: '1970-01-01T01:00:00.002+01:00', revision: 9n }))).toBe(true);
    for (const other of [
      { key: 'x' },
      { version: 4 },
      { payload: null },
      { author: 'x' },
      { comment: '' },
      { mtime: new Date(3) },
    ]) {
      expect(commit.equals(new Commit({ ...base, ...other })), JSON.stringify(other)).toBe(false);
    }
  });

  test('a payload that is no value fails only when its value is touched', () => {
    const good = new Commit(base, jsonCodec<{ hey: string }>());
    expect(good.valueOption).toEqual({ hey: 'what' });
    const bad = good.withCodec(jsonObjectCodec);
    expect(bad.value).toEqual({ ok: true, value: { hey: 'what' } });
    const list = new Commit({ ...base, payload: Buffer.from('[]') }, jsonObjectCodec);
    expect(list.value).toMatchObject({ ok: false });
    expect(list.valueOption).toBeUndefined();
    expect(new Commit({ ...base, payload: Buffer.alloc(0) }, jsonCodec()).value?.ok).toBe(false);
    expect(new Commit({ ...base, payload: Buffer.from([0x22, 0xff, 0x22]) }, jsonCodec()).value?.ok).toBe(false);
    expect(new Commit({ ...base, payload: null }, jsonCodec()).value).toBeUndefined();
  });
});

describe('envelope', () => {
  test.each([
    ['a payload', base],
    ['zero bytes', { ...base, payload: Buffer.alloc(0) }],
    ['line feeds', { ...base, payload: Buffer.from('\n\n'), comment: 'two\nlines' }],
    ['bytes that are no text', { ...base, payload: Buffer.from([0, 255, 10, 13]) }],
    ['a tombstone', { ...base, payload: null }],
    ['non-ASCII text', { ...base, key: 'schlüssel', author: '名前' }],
  ])('keeps %s', (_what, input) => {
    const commit = new Commit(input);
    expect(fromEnvelope(toEnvelope(commit)).equals(commit)).toBe(true);
  });

  test('is length, LF, header, LF, payload, LF', () => {
    const header =
      '{"key":"foo","version":3,"author":"me","comment":"why","mtime":"1970-01-01T00:00:00.002Z","empty":false}';
    expect(toEnvelope(new Commit(base)).toString()).toBe(`${header.length}\n${header}\n{"hey":"what"}\n`);
  });

  test.each(['', '\n', 'x\n{}\n\n', '5\n{}\n\n', '2\n{}', '2\n{}\n', '2\n{}\n\n', '999999999999\n{}\n\n'])(
    'refuses %j',
    (text) => {
      expect(() => fromEnvelope(Buffer.from(text))).toThrow(CommitFormatError);
    },
  );
});

test('meta JSON is read as strictly as the JVM client reads it', () => {
  const { empty: _, ...meta } = new Commit(base).meta;
  expect(parseCommitMeta(meta).empty).toBe(false);
  expect(() => parseCommitMeta({ ...meta, version: '3' })).toThrow(/"version" as a JSON number/);
  expect(() => parseCommitMeta({ ...meta, empty: 'No' })).toThrow(/"empty" as a JSON boolean/);
  expect(() => parseCommitMeta({ ...meta, author: undefined })).toThrow(/"author"/);
  expect(() => parseCommitMeta(null)).toThrow(CommitFormatError);
});
