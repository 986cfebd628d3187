import { execFileSync } from 'node:child_process';
import { expect, inject, test } from 'vitest';
import { SchemaError } from '../../src/errors.ts';
import { substitutePlaceholders } from '../../src/internal/psql-placeholders.ts';
import { findTool } from '../support/tools.ts';

const VARIABLES = { schema: 'odd "x', name: "o'neil", path: 'a\\b' };

// One line each, no semicolon inside; what psql makes of it is in the test below.
const SNIPPETS = [
  `select :'name', :'path'`,
  `select 1 as :"schema"`,
  `select ':''name''', $$:'name'$$, $a$ $$ :'name' $a$, ':"schema"'`,
  `select 1 as ":'name'", 2 as "a "":""schema"""`,
  `select e'\\':''name', E'a\\\\', :'name'`,
  `select 1 /* :'name' /* :'name' */ :"schema" */, :'name' -- :'name'`,
  `select 'a'::text, '{1,2}'::int[], (array[1,2])[1:2], :'name'::text`,
  `select 1 as a$b$, :'name' as c$b$`,
  `select 1 as e, :'name' as name, 2 as type, 'x'`,
  `select '--', :'name', '/*', :'name'`,
  `select $1$ :'name'`.replace('$1$', '1,'),
  `select u&'\\0041', :'name'`,
] as const;

test('placeholders are put where psql puts them, and nowhere else', () => {
  const put = (sql: string): string => substitutePlaceholders(sql, VARIABLES);
  expect(put(SNIPPETS[0])).toBe(`select 'o''neil',  E'a\\\\b'`);
  expect(put(SNIPPETS[1])).toBe('select 1 as "odd ""x"');
  expect(put(SNIPPETS[2])).toBe(SNIPPETS[2]);
  expect(put(SNIPPETS[3])).toBe(SNIPPETS[3]);
  expect(put(SNIPPETS[5])).toBe(`select 1 /* :'name' /* :'name' */ :"schema" */, 'o''neil' -- :'name'`);
});

test('psql itself makes the same of every snippet', () => {
  const psql = findTool('psql');
  if (psql === undefined) return;
  const { host, port, user, password } = inject('servers')[0] as unknown as Record<string, string>;
  const names = Object.entries(VARIABLES).flatMap(([name, value]) => ['-v', `${name}=${value}`]);
  for (const sql of SNIPPETS) {
    const [ours, theirs] = [substitutePlaceholders(sql, VARIABLES), sql].map((input) =>
      execFileSync(psql, ['-XqAt', '-v', 'ON_ERROR_STOP=1', ...names, '-f', '-', 'postgres'], {
        input: `${input}\n;\n`,
        env: { ...process.env, PGHOST: host, PGPORT: String(port), PGUSER: user, PGPASSWORD: password },
        encoding: 'utf8',
      }),
    );
    expect(ours, sql).toBe(theirs);
    expect(ours).not.toBe('');
  }
});

test('a placeholder without a value is an error that names it and what there is', () => {
  expect(() => substitutePlaceholders(`select :'nobody'`, VARIABLES, 'sql/x.sql')).toThrow(
    new SchemaError(`sql/x.sql: no value for the placeholder :'nobody'; values given: schema, name, path`),
  );
  expect(() => substitutePlaceholders(`select :'toString'`, VARIABLES)).toThrow(SchemaError);
});

test('texts and comments that never end are left to the server to refuse', () => {
  for (const sql of [`select ':name`, '/* open', '$$ open', `select e'\\'`, `"x`]) {
    expect(substitutePlaceholders(sql, VARIABLES)).toBe(sql);
  }
});
