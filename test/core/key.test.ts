import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect, isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_EPOCH, InvalidKeyError, idRange, Key } from '../../src/core/key.ts';

const GOLDEN = 307821103844175873n;
const MAX = 2n ** 63n - 1n;

describe('Key', () => {
  it('decodes the golden value', () => {
    const key = new Key(GOLDEN);
    expect(key.id).toBe(GOLDEN);
    expect(key.shardId).toBe(12);
    expect(key.addedId).toBe(1);
    expect(key.created.toISOString()).toBe('2014-11-15T14:11:06.450Z');
    expect(new Key('307821103844175873').equals(key)).toBe(true);
  });

  it('takes the whole span of 63 bits', () => {
    expect(new Key(0n).created.getTime()).toBe(DEFAULT_EPOCH);
    const last = new Key(MAX);
    expect([last.shardId, last.addedId, last.created.toISOString()]).toEqual([8191, 1023, '2048-07-20T16:59:19.127Z']);
  });

  it('counts from another epoch', () => {
    const epoch = Date.parse('2020-01-01T00:00:00Z');
    expect(new Key(1n << 23n, { epoch }).created.toISOString()).toBe('2020-01-01T00:00:00.001Z');
    expect(() => new Key(1n, { epoch: 1.5 })).toThrow(InvalidKeyError);
  });

  it('comes back from its parts', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: MAX }), fc.integer({ min: 0, max: 2_000_000_000_000 }), (id, epoch) => {
        const { created, shardId, addedId } = new Key(id, { epoch });
        const again = Key.from({ created, shardId, addedId }, { epoch });
        return again.id === id && again.created.getTime() === created.getTime() && new Key(String(id)).id === id;
      }),
    );
  });

  it('refuses parts that an id cannot hold, by name', () => {
    const parts = { created: new Date('2024-01-01'), shardId: 1, addedId: 1 };
    expect(() => Key.from({ ...parts, shardId: 8192 })).toThrow(/shardId: 8192/);
    expect(() => Key.from({ ...parts, addedId: -1 })).toThrow(/addedId: -1/);
    expect(() => Key.from({ ...parts, created: new Date('2013-01-01') })).toThrow(/2013-01-01.*outside/);
    expect(() => Key.from({ ...parts, created: new Date(Number.NaN) })).toThrow(/created/);
  });

  it.each([
    [12, /use a bigint \(12n\) or a decimal string/],
    [Number(GOLDEN), /loses digits above 2\^53: use a bigint \(307821103844175873n\)/],
    [-1n, /negative/],
    [MAX + 1n, /over 63 bits/],
    [String(MAX + 1n), /over 63 bits/],
    ['9'.repeat(1_000_000), /over 63 bits/],
    ['', /not a decimal number/],
    ['-1', /not a decimal number/],
    ['+1', /not a decimal number/],
    [' 1', /not a decimal number/],
    ['1\n', /not a decimal number/],
    ['0x10', /not a decimal number/],
    ['1.5', /not a decimal number/],
    ['1e3', /not a decimal number/],
    ['1n', /not a decimal number/],
    ['١٢', /not a decimal number/],
    [null, /not null/],
    [undefined, /not undefined/],
    [{}, /not object/],
    [true, /not boolean/],
    [new Key(1n), /not object/],
  ])('refuses %s', (bad, message) => {
    const make = (): Key => new Key(bad as unknown as bigint);
    expect(make).toThrow(InvalidKeyError);
    expect(make).toThrow(message);
  });

  it('has a stable error code and is not retryable', () => {
    try {
      new Key('x');
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ name: 'InvalidKeyError', code: 'INVALID_KEY', retryable: false });
    }
  });

  it('is shown and sent as decimal text', () => {
    const key = new Key(GOLDEN);
    expect(`${key}`).toBe('307821103844175873');
    expect(JSON.stringify({ key })).toBe('{"key":"307821103844175873"}');
    expect(inspect(key)).toBe('Key(307821103844175873: shard 12, added 1, 2014-11-15T14:11:06.450Z)');
  });

  it('is compared by id', () => {
    const keys = [3n, 1n, 2n].map((id) => new Key(id)).sort(Key.compare);
    expect(keys.map((key) => key.id)).toEqual([1n, 2n, 3n]);
    expect(Key.compare(new Key(1n), new Key(1n))).toBe(0);
    expect(new Key(1n).equals(new Key(2n))).toBe(false);
    expect(new Key(1n).equals(1n)).toBe(false);
    expect(isDeepStrictEqual(new Key(1n), new Key(2n))).toBe(false);
  });
});

describe('idRange', () => {
  const from = new Date('2024-01-01T00:00:00Z');
  const to = new Date('2024-02-01T00:00:00Z');

  it('gives the lowest and the highest id, both ends included', () => {
    const { lowest, highest } = idRange(from, to);
    expect(lowest).toBe(BigInt(from.getTime() - DEFAULT_EPOCH) << 23n);
    expect(highest).toBe((BigInt(to.getTime() + 1 - DEFAULT_EPOCH) << 23n) - 1n);
    expect(new Key(lowest).created).toEqual(from);
    expect(new Key(highest).created).toEqual(to);
    expect(new Key(highest + 1n).created.getTime()).toBe(to.getTime() + 1);
  });

  it('pads by what the generator may lag and lead', () => {
    const { lowest, highest } = idRange(from, to, { padded: true });
    expect(new Key(lowest).created.getTime()).toBe(from.getTime() - 16);
    expect(new Key(highest).created.getTime()).toBe(to.getTime() + 5_000);
  });

  it('cuts off what no id can hold', () => {
    expect(idRange(new Date(0), to).lowest).toBe(0n);
    expect(idRange(from, new Date('2100-01-01'), { padded: true }).highest).toBe(MAX);
  });

  it('refuses ranges that are reversed, invalid or wholly outside', () => {
    expect(() => idRange(to, from)).toThrow(/after its end/);
    expect(() => idRange(new Date('nonsense'), to)).toThrow(/from: Invalid Date/);
    expect(() => idRange(new Date('1999-01-01'), new Date('2000-01-01'))).toThrow(/outside/);
  });
});

describe('the door pg-hypervault/key', () => {
  it('reaches only files that need neither Node nor pg', () => {
    const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../src');
    const seen = new Map<string, string>();
    const walk = (file: string): void => {
      if (seen.has(file)) return;
      const text = readFileSync(file, 'utf8');
      seen.set(file, text);
      expect(text, file).not.toMatch(/\bimport\(/);
      for (const [, specifier] of text.matchAll(/^(?:import|export|})[^'\n]*'([^'\n]+)';$/gm)) {
        expect(specifier, `imported by ${file}`).toMatch(/^\.{1,2}\//);
        walk(resolve(dirname(file), specifier!));
      }
    };
    walk(resolve(root, 'core/key.ts'));
    expect([...seen.keys()].map((file) => file.slice(root.length + 1)).sort()).toEqual([
      'core/errors.ts',
      'core/id-layout.ts',
      'core/key.ts',
      'errors.ts',
    ]);
    for (const [file, text] of seen) expect(text, file).not.toMatch(/\bBuffer\.|\bprocess\./);
  });
});
