import type pg from 'pg';
import { median } from './result.ts';

/** Runs statements in turn, a few rounds after one to warm up; the median ms of each. */
export async function sqlTurns<Name extends string>(
  client: pg.Client,
  statements: Readonly<Record<Name, { readonly text: string; readonly after?: string }>>,
  rounds = 7,
): Promise<Record<Name, number>> {
  const names = Object.keys(statements) as Name[];
  const took = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = -1; round < rounds; round++) {
    for (const name of names) {
      const { text, after } = statements[name];
      const start = performance.now();
      await client.query(text);
      const ms = performance.now() - start;
      if (round >= 0) took[name].push(ms);
      if (after !== undefined) await client.query(after);
    }
  }
  return Object.fromEntries(names.map((name) => [name, median(took[name])])) as Record<Name, number>;
}
