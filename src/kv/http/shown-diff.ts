import { diffPayloads } from '../diff.ts';

/** Lines are compared while nothing else runs, so only so much is. */
export const MAX_DIFF_BYTES = 1024 * 1024;
const DIFF_TIMEOUT_MS = 200;

/** The diff of two payloads for an answer; `null` when they are too long to be compared while others wait. */
export function shownDiff(
  before: Buffer | null,
  after: Buffer | null,
  names: readonly [string, string],
): string | null {
  if ((before?.length ?? 0) + (after?.length ?? 0) > MAX_DIFF_BYTES) return null;
  return diffPayloads(before, after, { names, timeoutMs: DIFF_TIMEOUT_MS });
}
