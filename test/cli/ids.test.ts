import { describe, expect, it } from 'vitest';
import { hypervault } from '../support/cli.ts';

const GOLDEN = '307821103844175873';

describe('hypervault decode', () => {
  it('prints time, shard, sequence and age', async () => {
    const { exitCode, stdout, stderr } = await hypervault(['decode', GOLDEN]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toMatch(
      /^id +created +shard +sequence +age\n307821103844175873 {3}2014-11-15T14:11:06\.450Z +12 +1 {2}\d+ years ago\n$/,
    );
  });

  it('prints JSON, a line for each of many ids', async () => {
    const { json } = await hypervault(['decode', GOLDEN, '0', '--json']);
    expect(json()).toEqual([
      { id: GOLDEN, created: '2014-11-15T14:11:06.450Z', shardId: 12, addedId: 1, ageMs: expect.any(Number) },
      { id: '0', created: '2013-09-16T21:05:31.352Z', shardId: 0, addedId: 0, ageMs: expect.any(Number) },
    ]);
  });

  it.each([[[]], [['-']]])('reads ids from standard input: %j', async (args) => {
    const { json } = await hypervault(['decode', ...args, '--json'], { stdin: `${GOLDEN}\n\n1, 2\t3\n` });
    expect(json().map((line) => (line as { id: string }).id)).toEqual([GOLDEN, '1', '2', '3']);
  });

  it('goes on after an id that is none, and ends with 2', async () => {
    const { exitCode, json, stderr } = await hypervault(['decode', 'x', '5', '0x10', '--json']);
    expect(exitCode).toBe(2);
    expect(json()).toMatchObject([{ id: '5' }]);
    expect(
      stderr
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).error.code),
    ).toEqual(['INVALID_KEY', 'INVALID_KEY']);
  });

  it('counts from the epoch it is told', async () => {
    const { json } = await hypervault(['decode', '0', '--epoch', '2020-01-01', '--json']);
    expect(json()).toMatchObject([{ created: '2020-01-01T00:00:00.000Z' }]);
    const inMs = await hypervault(['decode', '0', '--epoch', '1577836800000', '--json']);
    expect(inMs.json()).toMatchObject([{ created: '2020-01-01T00:00:00.000Z' }]);
  });
});

describe('hypervault encode', () => {
  it('is the way back', async () => {
    expect((await hypervault(['encode', '2014-11-15T14:11:06.450Z', '12', '1'])).stdout).toBe(`${GOLDEN}\n`);
    const { json } = await hypervault(['encode', '2014-11-15T14:11:06.450', '12', '--json']);
    expect(json()).toEqual([
      { id: '307821103844175872', created: '2014-11-15T14:11:06.450Z', shardId: 12, addedId: 0 },
    ]);
  });

  it.each([
    [['yesterday', '1'], /time: "yesterday" is no time/],
    [['2024-13-01', '1'], /"2024-13-01" is no time/],
    [['2024-02-30', '1'], /"2024-02-30" is no time/],
    [['now', '8192'], /shard: "8192" is not a whole number from 0 to 8191/],
    [['now', '-1'], /shard: "-1" is not a whole number/],
    [['now', '1', '1024'], /sequence: "1024"/],
    [['now', '1e1'], /shard: "1e1"/],
    [['now'], /missing required argument 'shard'/],
    [['now', '1', '2', '3'], /too many arguments/],
    [['1999-01-01', '1'], /outside what ids of this epoch can hold/],
  ])('refuses %j', async (args, message) => {
    const { exitCode, stderr, stdout } = await hypervault(['encode', ...args]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toMatch(message);
  });
});

describe('hypervault range', () => {
  it('prints the lowest and the highest id', async () => {
    const plain = await hypervault(['range', '2024-01-01', '2024-02-01']);
    expect(plain.stdout).toBe('lowest   2723795015233961984\nhighest  2746263062909550591\n');
    const { json } = await hypervault(['range', '2024-01-01T00:00:00+01:00', '2024-02-01 12:30', '--json', '--padded']);
    expect(json()).toMatchObject([{ from: '2023-12-31T23:00:00.000Z', to: '2024-02-01T12:30:00.000Z' }]);
  });

  it('refuses a reversed range', async () => {
    const { exitCode, stderr } = await hypervault(['range', '2024-02-01', '2024-01-01']);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/after its end/);
  });
});
