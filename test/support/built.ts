// The built package, for tests that use it from outside as its users do.
import { readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The folder of the project. */
export const PROJECT = resolve(import.meta.dirname, '../..');

/** Throws when `dist` is missing or older than the sources. `npm test` builds first, a bare `vitest` does not. */
export function requireBuild(): void {
  const built = statSync(join(PROJECT, 'dist/index.js'), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const files = readdirSync(join(PROJECT, 'src'), { recursive: true, encoding: 'utf8' });
  const newest = Math.max(...files.map((file) => statSync(join(PROJECT, 'src', file)).mtimeMs));
  if (newest > built) throw new Error('dist is missing or older than src; run: npm run build');
}
