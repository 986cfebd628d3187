import { readFileSync } from 'node:fs';

let version: string | undefined;

/** The version of this package, as its package.json says. */
export function packageVersion(): string {
  // Both src/internal and dist/internal lie two folders below the package.
  version ??= (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string })
    .version;
  return version;
}

/** Whether version `a` (`1.2.3`) is newer than `b`; what follows a hyphen is not looked at. */
export function isNewerVersion(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => text.split('-')[0]!.split('.').map(Number));
  for (let place = 0; place < 3; place++) {
    const difference = (left![place] ?? 0) - (right![place] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return false;
}
