// JSON Schemas by what keys begin with: what does not fit is refused before anything is written.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import {
  createCommitServer,
  dryRun,
  jsonSchemaHook,
  MemoryCommitStorage,
  openKv,
  withPreSaveHook,
} from '../../src/kv/index.ts';
import { hypervault } from '../support/cli.ts';
import { freshDatabase } from '../support/database.ts';
import { rejection, waitFor } from '../support/wait-for.ts';
import { post, serveOnLoopback } from './support/raw-http.ts';

const SCHEMAS = {
  'limits.': {
    type: 'object',
    required: ['max'],
    properties: { max: { type: 'integer', maximum: 100 } },
    additionalProperties: false,
  },
  'limits.free.': true,
  'old.': { $schema: 'http://json-schema.org/draft-07/schema#', type: 'array', items: [{ type: 'string' }] },
};
const commit = (key: string, payload: string | null, version = 1) => ({
  key,
  version,
  payload: payload === null ? null : Buffer.from(payload),
  author: 'me',
});

test.each<[string, string | null, string | undefined]>([
  ['limits.a', '{"max":9}', undefined],
  ['limits.a', '{"max":101}', 'limits.a: /max must be <= 100'],
  ['limits.a', '{"max":"9"}', 'limits.a: /max must be integer'],
  ['limits.a', '{}', "limits.a: the value must have required property 'max'"],
  ['limits.a', '{"max":1,"min":0}', 'limits.a: the value must NOT have additional properties'],
  ['limits.a', '{"max":', 'limits.a: the payload is no JSON'],
  ['limits.a', null, undefined],
  ['limits.free.b', '"anything"', undefined],
  ['limits.free.b', 'no JSON', 'limits.free.b: the payload is no JSON'],
  ['old.a', '["x",1]', undefined],
  ['old.a', '[1]', 'old.a: /0 must be string'],
  ['other', 'no JSON, no schema', undefined],
  ['limits', 'not below the prefix', undefined],
])('%s = %s', async (key, payload, refusal) => {
  const storage = withPreSaveHook(new MemoryCommitStorage(), await jsonSchemaHook(SCHEMAS));
  if (refusal === undefined) {
    await dryRun(storage, commit(key, payload));
    return void expect((await storage.save(commit(key, payload))).version).toBe(1);
  }
  for (const asked of [
    dryRun(storage, commit(key, payload)),
    storage.saveAll([commit('x', '1'), commit(key, payload)]),
  ]) {
    const error = await rejection(asked);
    expect(error).toMatchObject({ code: 'COMMIT_REFUSED', message: expect.stringContaining(refusal) });
  }
  expect((await storage.heads()).size).toBe(0);
});

test('over HTTP it is a 400 with the reason; a rollback is held to it, too', async () => {
  const memory = new MemoryCommitStorage();
  await memory.save(commit('limits.a', '{"max":500}'));
  await memory.save(commit('limits.a', '{"max":5}', 2));
  const storage = withPreSaveHook(memory, await jsonSchemaHook(SCHEMAS));
  const server = await serveOnLoopback(createCommitServer({ storage }));
  onTestFinished(() => server.close());
  const answer = await post(server.port, '/limits.a/3', { 'X-Rainer-Author': 'me' }, '{"max":500}');
  expect([answer.status, answer.body.toString()]).toEqual([400, 'limits.a: /max must be <= 100']);
  const back = await post(server.port, '/limits.a/rollback?to=1', { 'X-Rainer-Author': 'me' });
  expect(back.status).toBe(400);
  expect((await memory.get('limits.a'))?.version).toBe(2);
});

test('a schema that is none is named', async () => {
  const error = await rejection(jsonSchemaHook({ 'a.': { type: 'strnig' } }));
  expect(error).toMatchObject({ code: 'CONFIGURATION', message: expect.stringContaining('"a."') });
  expect((await rejection(jsonSchemaHook({ '': { typo: 1 } }))).message).toContain('all keys');
});

test('openKv({ schemas }), also from a configuration file', async () => {
  const { connection } = await freshDatabase();
  await using kv = await openKv({ connection, schemas: SCHEMAS, autoPublish: false });
  expect((await rejection(kv.save(commit('limits.a', '{}')))).code).toBe('COMMIT_REFUSED');
  expect((await kv.save(commit('limits.a', '{"max":1}'))).version).toBe(1);
  expect((await rejection(openKv({ connection, schemas: { '': { type: 'x' } } }))).code).toBe('CONFIGURATION');
});

test('kv serve --schemas', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kv-schemas-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'schemas.yaml');
  await writeFile(file, 'limits.:\n  type: object\n  required: [max]\n');
  const taken = await serveOnLoopback(() => {});
  await taken.close();
  const stop = new AbortController();
  const args = ['kv', 'serve', '--memory', '--schemas', file, '--listen', `127.0.0.1:${taken.port}`];
  const serving = hypervault(args, { signal: stop.signal });
  const answers = () =>
    post(taken.port, '/limits.a/1', { 'X-Rainer-Author': 'me' }, '{}').then(
      ({ status }) => status,
      () => 0,
    );
  await waitFor(async () => (await answers()) === 400);
  stop.abort();
  expect((await serving).exitCode).toBe(0);
  await writeFile(file, '- a list\n');
  expect((await hypervault(args)).stderr).toContain('must map beginnings of keys');
});
