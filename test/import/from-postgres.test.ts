import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { stringify } from 'yaml';
import { hypervault } from '../support/cli.ts';
import { waitFor } from '../support/wait-for.ts';
import { logicalServerOfFile, postgresFixture } from './postgres-fixture.ts';

const server = logicalServerOfFile();

it('goes from a URL to sharded rows that live in the shards, by commands alone', { timeout: 60_000 }, async () => {
  const f = await postgresFixture(server(), {
    shards: true,
    extra: `create table plan (name text primary key); insert into plan values ('free');
      create table account (id bigserial, tenant_id int, plan text references plan, primary key (tenant_id, id));
      insert into account (tenant_id, plan) select n, 'free' from generate_series(1, 50) n`,
  });
  const folder = await mkdtemp(join(tmpdir(), 'pg-hypervault-from-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const config = join(folder, 'hypervault.yaml');
  const { import: _, ...target } = f.config;
  await writeFile(config, `# ours\n${stringify(target)}`);
  const { user, password, host, port, database } = f.sourceConnection;
  const url = `postgres://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`;
  const environment = { HYPERVAULT_CONFIG: config, HYPERVAULT_SOURCE_PASSWORD: password };

  // The report comes before anything moves, and ends the command when something cannot follow
  const bad = await hypervault(['import', url, '--by', 'tenant_id', '--check'], { environment });
  expect(bad.exitCode).toBe(1);
  expect(bad.stderr).toMatch(/error: public.plan: it has no column tenant_id: .*reference_tables/);
  const text = await readFile(config, 'utf8');
  expect(text).toMatch(/^# ours\n/);
  expect(text).not.toContain(password);
  expect(await f.source('select from pg_publication')).toEqual([]);

  // What the report asks for is said by a second run, and gets into the file
  const stop = new AbortController();
  const running = hypervault(['import', url, '--by', 'tenant_id', '--reference', 'plan'], {
    environment: { HYPERVAULT_CONFIG: config },
    signal: stop.signal,
  });
  const accounts = async (): Promise<number> => {
    const counts = await Promise.all(
      [0, 1].map(async (n) => {
        const shards = n === 0 ? [1, 2, 3, 4] : [5, 6, 7, 8];
        const union = shards.map((shard) => `select from shard000${shard}.account`).join(' union all ');
        return (await f.rows(`${union}`, n).catch(() => [])).length;
      }),
    );
    return counts[0]! + counts[1]!;
  };
  await waitFor(async () => (await accounts()) === 50, { timeoutMs: 20_000, what: 'the copy' });
  await f.source(`insert into account (tenant_id, plan) values (7, 'free')`);
  await waitFor(async () => (await accounts()) === 51, { timeoutMs: 20_000, what: 'a change coming over' });
  const changed = await readFile(config, 'utf8');
  expect(changed).toMatch(/reference_tables:\s+- plan/);
  // Rows that are there were placed by rules that no later run changes
  const otherwise = await hypervault(['import', url, '--by', 'id', '--check'], { environment });
  expect(otherwise).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('copied with another shard_by') });
  expect(await readFile(config, 'utf8')).toBe(changed);
  const verified = await hypervault(['import', 'verify'], { environment });
  expect(verified).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^equal: 52 rows of 2 tables/) });
  stop.abort();
  expect((await running).exitCode).toBe(0);

  expect(await hypervault(['import', 'switch'], { environment })).toMatchObject({ exitCode: 2 });
  const switched = await hypervault(['import', 'switch', '--yes'], { environment });
  expect(switched).toMatchObject({
    exitCode: 0,
    stdout: expect.stringMatching(/^switched: nobody could write for \d+ ms; 1 of 1 foreign keys/),
  });
  expect(await hypervault(['import', 'back', '--yes'], { environment })).toMatchObject({ exitCode: 0 });
  expect(await hypervault(['import', 'switch', '--yes'], { environment })).toMatchObject({ exitCode: 0 });
  expect(await hypervault(['import', 'finish', '--yes'], { environment })).toMatchObject({ exitCode: 0 });
  await expect(f.source('delete from account')).rejects.toMatchObject({ code: 'SV022' });
  await expect(hypervault(['import', `${url}x`, '--by', 'tenant_id'], { environment })).resolves.toMatchObject({
    exitCode: 2,
  });
});
