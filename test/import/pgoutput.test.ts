import fc from 'fast-check';
import { expect, it } from 'vitest';
import { splitFields, unescapeField } from '../../src/import/copy-text/fields.ts';
import { LineBuffer } from '../../src/import/copy-text/line-buffer.ts';
import { lsnPosition, lsnText, parseLsn } from '../../src/import/postgres/lsn.ts';
import {
  FIELD,
  MessageReader,
  readBegin,
  readCommit,
  readImages,
  readRelation,
  readTruncate,
  Tuple,
} from '../../src/import/postgres/replication/pgoutput.ts';
import { fillUnchanged } from '../../src/import/stream/fill-unchanged.ts';

/** Bytes of a message, from its parts. */
function message(...parts: (Buffer | number | string | bigint)[]): MessageReader {
  const bytes = parts.map((part) => {
    if (typeof part === 'number') return Buffer.of(part);
    if (typeof part === 'string') return Buffer.from(`${part}\0`);
    if (typeof part === 'bigint') {
      const eight = Buffer.alloc(8);
      eight.writeBigUInt64BE(part);
      return eight;
    }
    return part;
  });
  return new MessageReader(Buffer.concat(bytes));
}

const int16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
const int32 = (value: number): Buffer => {
  const four = Buffer.alloc(4);
  four.writeInt32BE(value);
  return four;
};

it('reads begin and commit: where the commit record begins, where it ends, and when it was', () => {
  const us = BigInt(Date.UTC(2024, 0, 31)) * 1_000n - 946_684_800_000_000n;
  expect(readBegin(message(0x16_b374d848n, us, int32(7)))).toEqual({
    commit: 0x16_b374d848n,
    timeMs: Date.UTC(2024, 0, 31),
  });
  expect(readCommit(message(0, 1n, 2n, 3n))).toEqual({ end: 2n });
});

it('reads a relation with the flags of its columns, and the tables of a truncation', () => {
  const bytes = message(
    int32(16_384),
    'public',
    'Odd "name"',
    0x64,
    int16(2),
    1,
    'id',
    int32(20),
    int32(-1),
    0,
    'tenant é',
    int32(25),
    int32(24),
  );
  expect(readRelation(bytes)).toEqual({
    oid: 16_384,
    schema: 'public',
    name: 'Odd "name"',
    identity: 'd',
    columns: [
      { key: true, name: 'id', typeOid: 20, typmod: -1 },
      { key: false, name: 'tenant é', typeOid: 25, typmod: 24 },
    ],
  });
  expect(readTruncate(message(int32(2), 1, int32(5), int32(6)))).toEqual([5, 6]);
});

it('tells which images a message holds, and which values it does not repeat', () => {
  const images = { before: new Tuple(3), after: new Tuple(3) };
  const text = (value: string): Buffer[] => [
    Buffer.of(FIELD.text),
    int32(Buffer.byteLength(value)),
    Buffer.from(value),
  ];
  readImages(
    message(
      0x4b,
      int16(3),
      ...text('1'),
      FIELD.null,
      FIELD.null,
      0x4e,
      int16(3),
      ...text('2'),
      FIELD.unchanged,
      FIELD.null,
    ),
    images,
  );
  expect(images.before).toMatchObject({ present: true, keyOnly: true });
  expect([...images.after.kinds]).toEqual([FIELD.text, FIELD.unchanged, FIELD.null]);
  expect(images.after.bytes.toString('utf8', images.after.starts[0], images.after.ends[0])).toBe('2');
  readImages(message(0x4e, int16(3), FIELD.null, FIELD.null, FIELD.null), images);
  expect(images.before.present).toBe(false);
  expect(() => readImages(message(0x4e, int16(2), FIELD.null, FIELD.null), images)).toThrow(RangeError);
});

it('writes places of the log as Postgres does, and reads them back', () => {
  expect(lsnText(0x16_b374d848n)).toBe('16/B374D848');
  expect(lsnPosition(0n)).toEqual({ ordinal: 0n, text: '0/0', gtid: null });
  fc.assert(fc.property(fc.bigInt(0n, 2n ** 64n - 1n), (lsn) => parseLsn(lsnText(lsn)) === lsn));
  expect(() => parseLsn('here')).toThrow(SyntaxError);
});

it('fills in only what the log did not repeat, whatever the values are', () => {
  const value = fc.option(fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\0', '')));
  const line = (values: readonly (string | null | undefined)[]): LineBuffer => {
    const lines = new LineBuffer();
    values.forEach((text, n) => {
      if (n > 0) lines.tab();
      if (text === undefined) lines.unchanged();
      else if (text === null) lines.null();
      else lines.escaped(Buffer.from(text), 0, Buffer.byteLength(text));
    });
    return lines;
  };
  fc.assert(
    fc.property(fc.array(fc.tuple(value, value, fc.boolean()), { minLength: 1 }), (fields) => {
      const earlier = line(fields.map(([old]) => old)).view();
      const later = line(fields.map(([, text, same]) => (same ? undefined : text))).view();
      const wanted = fields.map(([old, text, same]) => (same ? old : text));
      expect(splitFields(fillUnchanged(later, earlier)).map(unescapeField)).toEqual(wanted);
    }),
  );
});
