// What the probes of the peer have in common: a replica that runs, and what it made of its tables.
import type { SourceServer } from '../support/source-server.ts';
import { type ImportFixture, importFixture, textRows } from './fixture.ts';

export type ImportOptions = Parameters<typeof importFixture>[1];

export async function runningOn(
  server: SourceServer,
  create: string,
  options: ImportOptions = {},
): Promise<ImportFixture> {
  const f = await importFixture(server, options);
  await f.source(create);
  await f.init();
  await f.start();
  return f;
}

export async function table(f: ImportFixture, name: string, order = 1): Promise<Record<string, string | null>[]> {
  return textRows(f.target, `select * from ${f.schema}.${name} order by ${order}`);
}

export async function asides(f: ImportFixture): Promise<{ t: string; reason: string }[]> {
  return f.rows(`select origin_table as t, reason from hypervault.import_table where state = 'aside' order by 1`);
}
