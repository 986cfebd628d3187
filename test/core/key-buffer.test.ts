import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvalidKeyError, Key } from '../../src/core/index.ts';

describe('the binary form of a key', () => {
  it('is 8 bytes, big-endian', () => {
    const bytes = new Key(307821103844175873n).toBuffer();
    expect(Buffer.isBuffer(bytes)).toBe(true);
    expect(bytes.toString('hex')).toBe('044599a9bd003001');
    expect(Key.fromBuffer(bytes).id).toBe(307821103844175873n);
  });

  it('comes back, and sorts like the ids', () => {
    const id = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n });
    fc.assert(
      fc.property(id, id, (a, b) => {
        const [x, y] = [new Key(a), new Key(b)];
        return (
          Key.fromBuffer(x.toBuffer()).equals(x) && Buffer.compare(x.toBuffer(), y.toBuffer()) === Key.compare(x, y)
        );
      }),
    );
  });

  it('keeps the epoch it is given', () => {
    expect(Key.fromBuffer(new Key(1n << 23n).toBuffer(), { epoch: 0 }).created.getTime()).toBe(1);
  });

  it('refuses what is no key', () => {
    expect(() => Key.fromBuffer(Buffer.alloc(7))).toThrow(/8 bytes, not 7 bytes/);
    expect(() => Key.fromBuffer(Buffer.alloc(8, 0xff))).toThrow(InvalidKeyError);
    expect(() => Key.fromBuffer('12345678' as unknown as Uint8Array)).toThrow(/not string/);
  });
});
