import { execFile } from 'node:child_process';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { ElasticsearchIndex } from '../../examples/river/elasticsearch-index.ts';
import { MemoryIndex } from '../../examples/river/memory-index.ts';
import type { IndexAction } from '../../examples/river/search-index.ts';
import { rejection } from '../support/wait-for.ts';

const ACTIONS: IndexAction[] = [
  { type: 'index', document: { id: '1', kind: 7, fields: { name: 'Rhine\n"big"', note: null } } },
  { type: 'delete', id: '2' },
];

interface Request {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** A server that keeps what it is sent and answers what it is told. */
async function stub(answer: { status?: number; body: unknown }): Promise<{ url: string; requests: Request[] }> {
  const requests: Request[] = [];
  const server = createServer(async (request: IncomingMessage, response: ServerResponse) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    requests.push({ method: request.method!, url: request.url!, headers: request.headers, body });
    response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', connection: 'close' });
    response.end(JSON.stringify(answer.body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as { port: number }).port}`, requests };
}

test('a batch is one bulk request: NDJSON, a line for each action, one for each document, a newline at the end', async () => {
  const { url, requests } = await stub({ body: { errors: false, items: [] } });
  const index = new ElasticsearchIndex({ url, index: 'my river', authorization: 'ApiKey x' });
  await index.apply(ACTIONS);
  await index.apply([]);
  expect(requests).toHaveLength(1);
  const [{ method, url: path, headers, body }] = requests as [Request];
  expect({ method, path }).toEqual({ method: 'POST', path: '/my%20river/_bulk' });
  expect(headers).toMatchObject({ 'content-type': 'application/x-ndjson', authorization: 'ApiKey x' });
  expect(body.endsWith('\n')).toBe(true);
  expect(
    body
      .slice(0, -1)
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual([{ index: { _id: '1' } }, { name: 'Rhine\n"big"', note: null, kind: 7 }, { delete: { _id: '2' } }]);
});

test('a request that was accepted may hold actions that failed; a document that was gone already is none', async () => {
  const gone = { delete: { _id: '2', status: 404 } };
  const fine = await stub({ body: { errors: true, items: [{ index: { _id: '1', status: 201 } }, gone] } });
  await new ElasticsearchIndex({ url: fine.url, index: 'i' }).apply(ACTIONS);
  const error = { type: 'mapper_parsing_exception', reason: 'no such field' };
  const bad = await stub({ body: { errors: true, items: [{ index: { _id: '1', status: 400, error } }, gone] } });
  const failure = await rejection(new ElasticsearchIndex({ url: bad.url, index: 'i' }).apply(ACTIONS));
  expect(failure.message).toBe('1 of 2 actions failed, the first one on 1: mapper_parsing_exception no such field');
});

test('a search asks for all the words; an error of the server is one of ours', async () => {
  const { url, requests } = await stub({ body: { hits: { hits: [{ _id: '5' }] } } });
  expect(await new ElasticsearchIndex({ url, index: 'i' }).search('deep water')).toEqual(['5']);
  expect(JSON.parse(requests[0]!.body)).toMatchObject({
    query: { simple_query_string: { query: 'deep water', default_operator: 'and' } },
  });
  const down = await stub({ status: 503, body: { error: 'busy' } });
  expect(await rejection(new ElasticsearchIndex({ url: down.url, index: 'i' }).search('x'))).toMatchObject({
    message: expect.stringMatching(/^_search: HTTP 503/),
  });
});

test('the index in the process finds documents by all their words, as they are now', async () => {
  const index = new MemoryIndex();
  const document = (id: string, name: string): IndexAction => ({
    type: 'index',
    document: { id, kind: 1, fields: { name } },
  });
  await index.apply([document('1', 'Blue Nile'), document('2', 'White Nile')]);
  expect(await index.search('nile')).toEqual(['1', '2']);
  expect(await index.search('NILE white')).toEqual(['2']);
  await index.apply([document('1', 'Danube'), { type: 'delete', id: '2' }, { type: 'delete', id: '3' }]);
  expect([await index.search('nile'), await index.search('danube'), index.size]).toEqual([[], ['1'], 1]);
});

test('the example runs by itself', async () => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const { stdout } = await promisify(execFile)('npx', ['tsx', 'examples/river/main.ts'], {
    cwd: root,
    timeout: 55_000,
  });
  expect(stdout).toMatch(/"caspian" → (Volga, Ural|Ural, Volga)/);
  expect(stdout).toMatch(/\d+ changes were carried/);
}, 60_000);
