// Real data that stays outside the project: the folder is named by HYPERVAULT_TEST_DATA.
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** The path of a data file, or `undefined` after saying out loud what is missing. */
export function testData(name: string): string | undefined {
  const folder = process.env.HYPERVAULT_TEST_DATA;
  const path = folder === undefined ? undefined : join(folder, name);
  if (path !== undefined && existsSync(path)) return path;
  console.warn(`SKIPPED: tests on ${name} need the folder with the test data in HYPERVAULT_TEST_DATA`);
  return undefined;
}
