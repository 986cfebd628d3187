import { ConfigurationError } from '../errors.ts';

/**
 * Refuses unknown keys of an options object, with the nearest known name.
 *
 * @example
 * ```ts
 * assertKnownKeys({ poolMaxx: 3 }, ['poolMax', 'logger'], 'Datastore options');
 * // ConfigurationError: Datastore options: unknown key "poolMaxx"; did you mean "poolMax"?
 * ```
 */
export function assertKnownKeys(options: object, known: readonly string[], where: string): void {
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    const near = nearestName(key, known);
    const hint = near === undefined ? `known keys: ${known.join(', ')}` : `did you mean ${JSON.stringify(near)}?`;
    throw new ConfigurationError(`${where}: unknown key ${JSON.stringify(key)}; ${hint}`);
  }
}

/** The known name nearest to `name` by edit distance, when it is near enough to be a slip of the hand. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, previous[j]! + 1, row[j - 1]! + 1));
    }
    previous = row;
  }
  return previous[b.length]!;
}
