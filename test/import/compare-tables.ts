// Whether target and source hold the same bytes in every column of every table.
import { expect } from 'vitest';
import type { ImportFixture } from './fixture.ts';

/** A column's value as text that both servers make alike, whatever its type. */
function bothSides(name: string, type: string): { source: string; target: string } {
  const [source, target] = [`\`${name}\``, `"${name}"`];
  if (/geometry|point/.test(type)) {
    return { source: `hex(ST_AsWKB(${source}))`, target: `upper(encode(${target}::bytea, 'hex'))` };
  }
  if (/blob|binary/.test(type)) return { source: `hex(${source})`, target: `upper(encode(${target}, 'hex'))` };
  // One shows the zeros behind the point, the other does not
  if (/datetime|timestamp/.test(type)) {
    return {
      source: `date_format(${source}, '%Y-%m-%d %H:%i:%s.%f')`,
      target: `to_char(${target}, 'YYYY-MM-DD HH24:MI:SS.US')`,
    };
  }
  if (type === 'set') return { source, target: `array_to_string(${target}, ',')` };
  return {
    source: `hex(cast(${source} as char))`,
    target: `upper(encode(convert_to(${target}::text, 'utf8'), 'hex'))`,
  };
}

/** Compares every base table of the fixture's schema. Returns how many rows there were. */
export async function expectSameDatabase(f: ImportFixture): Promise<Record<string, number>> {
  const columns = (await f.source(
    `select c.table_name as t, c.column_name as n, c.data_type as ty
       from information_schema.columns c
       join information_schema.tables t using (table_schema, table_name)
      where table_schema = ? and table_type = 'BASE TABLE'
      order by 1, c.ordinal_position`,
    [f.schema],
  )) as { t: string; n: string; ty: string }[];
  const counts: Record<string, number> = {};
  for (const table of new Set(columns.map(({ t }) => t))) {
    const pairs = columns.filter(({ t }) => t === table).map(({ n, ty }) => bothSides(n, ty));
    const line = (side: 'source' | 'target'): string =>
      pairs.map((pair) => `coalesce(${pair[side]}, 'NULL')`).join(`, '|', `);
    const theirs = await f.source(`set time_zone = '+00:00'; select concat(${line('source')}) as line from ${table}`);
    const source = (theirs as unknown as { line: string }[][])[1]!.map(({ line: text }) => text).sort();
    const target = (
      await f.rows<{ line: string }>(`select concat(${line('target')}) as line from ${f.schema}.${table}`)
    )
      .map(({ line: text }) => text)
      .sort();
    const [left, right] = [new Set(source), new Set(target)];
    expect({
      table,
      rows: target.length,
      missing: source.filter((text) => !right.has(text)).slice(0, 3),
      extra: target.filter((text) => !left.has(text)).slice(0, 3),
    }).toEqual({ table, rows: source.length, missing: [], extra: [] });
    counts[table] = source.length;
  }
  return counts;
}
