import type { Datastore, Key } from 'pg-hypervault';
import { CITY, type City } from './cities.ts';

/** Cities at the same moment on their way. */
const CALLERS = 256;

/** Puts every city into the shard its name leads to. Keys come in the order of the cities. */
export async function loadCities(
  db: Datastore,
  cities: readonly City[],
  onProgress: (done: number) => void,
): Promise<Key[]> {
  const keys: Key[] = [];
  let next = 0;
  let done = 0;
  const caller = async (): Promise<void> => {
    while (next < cities.length) {
      const at = next++;
      const city = cities[at]!;
      keys[at] = await db.put(db.shardFor(city.name), CITY, city);
      done += 1;
      onProgress(done);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  return keys;
}
