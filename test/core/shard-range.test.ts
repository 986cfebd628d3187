import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ShardRangeError } from '../../src/core/errors.ts';
import { formatShardRanges, parseShardRanges, shardsOf } from '../../src/core/shard-range.ts';
import { ConfigurationError } from '../../src/errors.ts';

describe('parseShardRanges', () => {
  it('reads half-open ranges, lists and objects', () => {
    expect(parseShardRanges('1-9')).toEqual([{ from: 1, to: 9 }]);
    expect(parseShardRanges('8-9, 1-5')).toEqual([
      { from: 1, to: 5 },
      { from: 8, to: 9 },
    ]);
    expect(parseShardRanges(['0-1', { from: 8191, to: 8192 }])).toEqual([
      { from: 0, to: 1 },
      { from: 8191, to: 8192 },
    ]);
    expect(parseShardRanges({ from: 1, to: 2 })).toEqual([{ from: 1, to: 2 }]);
  });

  it('joins neighbours', () => {
    expect(formatShardRanges(parseShardRanges('5-9,1-5'))).toBe('1-9');
  });

  it('lists the shards of ranges', () => {
    expect(shardsOf(parseShardRanges('1-4,8-9'))).toEqual([1, 2, 3, 8]);
  });

  it('reads what it writes', () => {
    const cuts = fc.uniqueArray(fc.integer({ min: 0, max: 8192 }), { minLength: 2, maxLength: 20 });
    fc.assert(
      fc.property(cuts, (points) => {
        points.sort((a, b) => a - b);
        const ranges = points.flatMap((from, i) =>
          i % 2 === 0 && i + 1 < points.length ? [{ from, to: points[i + 1]! }] : [],
        );
        expect(parseShardRanges(formatShardRanges(ranges))).toEqual(ranges);
      }),
    );
  });

  it.each([
    ['9-1', /server "a": the range 9-1 is reversed; write 1-9/],
    ['3-3', /3-3 is empty.*3-4 is shard 3/],
    ['0-8193', /0-8193 is outside 0-8192/],
    [{ from: -1, to: 3 }, /-1-3 is outside/],
    [{ from: 1.5, to: 3 }, /whole numbers/],
    [{ from: '1', to: 3 }, /whole numbers/],
    ['1.5-3', /"1.5-3" is not a half-open range/],
    ['7', /for one shard write '7-8'/],
    ['', /not a half-open range/],
    ['1-9,', /"" is not a half-open range/],
    ['1-5,4-9', /the range 4-9 overlaps 1-5/],
    [[], /no shards given/],
    [null, /null is not a range/],
    [7, /7 is not a range/],
    [7n, /7n is not a range/],
    [{}, /an object is not a range/],
    [{ from: 1, to: 2, step: 1 }, /unknown key "step"/],
    ["1-9'; drop table x", /not a half-open range/],
  ])('refuses %s', (bad, message) => {
    const parse = (): unknown => parseShardRanges(bad as string, 'server "a"');
    expect(parse).toThrow(message);
    expect(parse).toThrow(ConfigurationError);
  });

  it('has an error of its own', () => {
    expect(() => parseShardRanges('9-1')).toThrow(ShardRangeError);
  });
});
