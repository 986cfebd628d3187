import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readConfiguration } from '../../src/config/index.ts';
import { resolveImportSection } from '../../src/import/config/import-config.ts';

async function section(extra: object, source: object = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'import-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const file = join(directory, 'hypervault.json');
  await writeFile(file, JSON.stringify({ servers: { a: { hosts: ['127.0.0.1:5432'], database: 'x', user: 'x' } } }));
  const configuration = await readConfiguration(file, {});
  const sources = {
    mysql: {
      db_conn: { host: 'h', user: 'u', password: 'p' },
      schema_mappings: { shop: 'shop' },
      server: 'a',
      ...source,
    },
  };
  return resolveImportSection({ sources, ...extra }, configuration);
}

test('keep_existing_schema is refused where it cannot be kept', async () => {
  await expect(section({}, { keep_existing_schema: 'Yes', type: 'pgsql' })).rejects.toThrow(/for MySQL sources only/);
  expect((await section({}, { keep_existing_schema: 'No' })).sources.get('mysql')!.keepExistingSchema).toBe(false);
  expect((await section({}, { keep_existing_schema: 'Yes' })).sources.get('mysql')!.keepExistingSchema).toBe(true);
});

test('a Rollbar that is half configured is told', async () => {
  expect((await section({ rollbar_key: 'k' })).warnings.join('\n')).toMatch(/needs both rollbar_key and rollbar_env/);
  expect((await section({ rollbar_key: 'k', rollbar_env: 'e', log_dest: 'stdout' })).warnings).toEqual([]);
});

test('a Postgres source has no log between its workers: its slot is that', async () => {
  await expect(section({}, { mode: 'log', type: 'pgsql' })).rejects.toThrow(/mode: log is for MySQL sources/);
  expect((await section({}, { type: 'pgsql' })).sources.get('mysql')).toMatchObject({
    replicationSlot: 'hypervault_mysql',
    setReplicaIdentity: false,
  });
});
