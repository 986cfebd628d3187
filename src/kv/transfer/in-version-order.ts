import type { Commit } from '../commit.ts';
import { CommitFormatError } from '../errors.ts';

export interface VersionOrderOptions {
  /** The newest version of each key that the target has. */
  readonly newest: ReadonlyMap<string, number>;
  /** Takes versions that are missing for gone, as after a compaction. */
  readonly allowGaps: boolean;
}

/** What is held back waiting for an earlier version, in bytes of payloads. */
const MAX_HELD_BYTES = 256 * 1024 * 1024;

/**
 * Hands commits on so that the versions of each key go up one by one, whatever order they come in (a dump of a heap
 * has none). What the target has already passes through.
 *
 * @throws CommitFormatError naming the versions that never came, unless gaps are allowed
 */
export async function* inVersionOrder(
  commits: AsyncIterable<Commit>,
  { newest, allowGaps }: VersionOrderOptions,
): AsyncGenerator<Commit, void, undefined> {
  const reached = new Map(newest);
  const held = new Map<string, Map<number, Commit>>();
  let heldBytes = 0;
  for await (const commit of commits) {
    const { key, version } = commit;
    const next = (reached.get(key) ?? 0) + 1;
    if (version > next) {
      const waiting = held.get(key) ?? new Map<number, Commit>();
      held.set(key, waiting.set(version, commit));
      heldBytes += commit.payload?.length ?? 0;
      if (heldBytes > MAX_HELD_BYTES) {
        throw new CommitFormatError(
          `version ${next} of ${key} does not come before version ${version}: sort the source by key and version`,
        );
      }
      continue;
    }
    yield commit;
    if (version < next) continue;
    reached.set(key, version);
    const waiting = held.get(key);
    for (let at = version + 1; waiting?.has(at); at++) {
      const freed = waiting.get(at)!;
      waiting.delete(at);
      heldBytes -= freed.payload?.length ?? 0;
      reached.set(key, at);
      yield freed;
    }
    if (waiting?.size === 0) held.delete(key);
  }
  if (!allowGaps && held.size > 0) throw missing(held, reached);
  for (const waiting of held.values()) {
    for (const version of [...waiting.keys()].sort((a, b) => a - b)) yield waiting.get(version)!;
  }
}

function missing(held: ReadonlyMap<string, ReadonlyMap<number, Commit>>, reached: ReadonlyMap<string, number>): Error {
  const named = [...held].slice(0, 3).map(([key, waiting]) => {
    const [from, to] = [(reached.get(key) ?? 0) + 1, Math.min(...waiting.keys()) - 1];
    return from === to ? `version ${from} of ${key}` : `versions ${from} to ${to} of ${key}`;
  });
  const more = held.size > 3 ? ` and ${held.size - 3} more keys` : '';
  return new CommitFormatError(
    `the source lacks ${named.join(', ')}${more}; what comes after them was not saved. ` +
      'If they are gone for good (a compacted history), allow gaps',
  );
}
