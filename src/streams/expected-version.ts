import { BadRequestError } from './errors.ts';

/**
 * What must be true of a stream for an append to happen: the number of its last event, or one of three words.
 *
 * - `'any'`: nothing, the default
 * - `'noStream'`: it has no events, or was deleted (softly)
 * - `'streamExists'`: it has events
 */
export type ExpectedVersion = bigint | 'any' | 'noStream' | 'streamExists';

/** The three words, for those who like to see them named. */
export const ExpectedVersion = { any: 'any', noStream: 'noStream', streamExists: 'streamExists' } as const;

/** As the functions in the shard take it: a number of 0 and above, or one of these. */
export const EXPECTED_CODE = { noStream: -1n, any: -2n, streamExists: -4n } as const;

/** @throws BadRequestError for a number (use a bigint), a negative one, or another word */
export function expectedCode(expected: ExpectedVersion | undefined): bigint {
  if (expected === undefined) return EXPECTED_CODE.any;
  if (typeof expected === 'bigint') {
    if (expected >= 0n && expected < 2n ** 63n) return expected;
    throw new BadRequestError(
      `expectedVersion: ${expected} is not the number of an event; a stream without events is 'noStream'`,
    );
  }
  if (typeof expected === 'string' && Object.hasOwn(EXPECTED_CODE, expected)) return EXPECTED_CODE[expected];
  const hint = typeof expected === 'number' ? `; use a bigint: ${String(expected)}n` : '';
  throw new BadRequestError(
    `expectedVersion: ${String(expected)} is neither a bigint nor 'any', 'noStream' or 'streamExists'${hint}`,
  );
}

/** The reverse of {@link expectedCode}, for errors. */
export function expectedOfCode(code: bigint): bigint | 'noStream' | 'streamExists' {
  if (code === EXPECTED_CODE.noStream) return 'noStream';
  return code === EXPECTED_CODE.streamExists ? 'streamExists' : code;
}
