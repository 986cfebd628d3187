// Whether target and source hold the same rows, told by sums that both servers compute alike.
import { expect } from 'vitest';
import type { ImportFixture } from './fixture.ts';

/** Compares a table by its count and by a hash of each row's fields, joined; columns whose text is the same on both sides. */
export async function expectSameRows(
  fixture: ImportFixture,
  table: string,
  columns: readonly string[],
  key = 'id',
): Promise<void> {
  const list = columns.map((column) => `coalesce(cast(${column} as char), 'NULL')`).join(", '|', ");
  const source = await fixture.source(
    `select ${key} as k, sha2(concat(${list}), 256) as h from ${table} order by ${key}`,
  );
  const targetList = columns.map((column) => `coalesce(${column}::text, 'NULL')`).join(" || '|' || ");
  const target = await fixture.rows<{ k: unknown; h: string }>(
    `select ${key} as k, encode(sha256(convert_to(${targetList}, 'utf8')), 'hex') as h from ${fixture.schema}.${table} order by ${key}`,
  );
  const hashes = (rows: readonly Record<string, unknown>[]): Map<string, unknown> =>
    new Map(rows.map(({ k, h }) => [String(k), h]));
  const [left, right] = [hashes(source), hashes(target)];
  const missing = [...left].filter(([k, h]) => right.get(k) !== h).map(([k]) => k);
  const extra = [...right.keys()].filter((k) => !left.has(k));
  expect({ rows: target.length, missing: missing.slice(0, 10), extra: extra.slice(0, 10) }).toEqual({
    rows: source.length,
    missing: [],
    extra: [],
  });
}
