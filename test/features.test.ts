import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const pages = readdirSync(`${root}docs/features`).map((name) => `docs/features/${name}`);

test.each(pages)('%s names files that exist, or says what is missing', (page) => {
  const rows = readFileSync(root + page, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| ') && !/^\| row\b/.test(line));
  expect(rows.length).toBeGreaterThan(0);
  for (const row of rows) {
    const named = [...row.matchAll(/`((?:src|test|sql|bench|examples|docs)\/[^`\s]*)`/g)].map(([, path]) => path!);
    expect(
      named.filter((path) => !existsSync(root + path)),
      row,
    ).toEqual([]);
    expect(named.some((path) => /^(test|bench)\//.test(path)) || row.includes('missing'), `no test: ${row}`).toBe(true);
  }
});

test('every page is linked from docs/features.md', () => {
  const index = readFileSync(`${root}docs/features.md`, 'utf8');
  expect(pages.filter((page) => !index.includes(page.slice('docs/'.length)))).toEqual([]);
});
