import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { HypervaultError } from '../../errors.ts';
import { NOBODY } from './access.ts';
import { discardBody } from './body.ts';
import { refuseOtherSites } from './cross-site.ts';
import { answerText, type Exchange } from './exchange.ts';
import { type CommitServerOptions, type ResolvedServerOptions, resolveServerOptions } from './options.ts';
import { Refusal } from './refusal.ts';
import { findRoute } from './routes.ts';
import { decodeSegment, parseTarget } from './target.ts';

/**
 * Serves commits over HTTP with Rainer's wire API, as a request listener for `node:http`, or to be mounted in Express
 * or Fastify.
 *
 * @example
 * ```ts
 * http.createServer(createCommitServer({ storage, basePath: '/diary' })).listen(8080);
 * ```
 * @throws ConfigurationError
 */
export function createCommitServer<V>(options: CommitServerOptions<V>): RequestListener {
  const resolved = resolveServerOptions(options);
  return (request, response) => {
    void serve(resolved, request, response);
  };
}

async function serve(
  options: ResolvedServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const headers: string[] = [];
  try {
    await route(options, request, response, headers);
  } catch (error) {
    // A socket that broke while answering is nobody's failure, and there is nobody left to tell.
    await refuse(request, response, headers, explain(error, request, options)).catch(() => response.destroy());
  }
}

async function route(
  options: ResolvedServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
  headers: string[],
): Promise<void> {
  const { segments, query } = parseTarget(request.url ?? '/', options.basePath);
  const found = segments === undefined ? undefined : findRoute(segments);
  if (segments === undefined || found === undefined) throw new Refusal(404, 'Not found');
  if (found.mirrored && options.mirror !== undefined) headers.push('X-Rainer-Cached', 'Yes');
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  const handler = method === 'GET' || method === 'POST' ? found.methods[method] : undefined;
  if (handler === undefined) throw new Refusal(405, 'Method not allowed', ['Allow', allowed(found.methods)]);
  if (method === 'POST') refuseOtherSites(request);
  const access = found.open ? NOBODY : options.authorize(request);
  const key = segments[0] === undefined || found.keyless ? '' : decodeKey(segments[0]);
  if (key !== '' && method === 'GET' && !access.mayRead(key)) throw new Refusal(403, 'Not allowed to read this key');
  const exchange: Exchange = {
    request,
    response,
    query,
    key,
    version: segments[1] ?? '',
    file: segments[2] ?? '',
    access,
    options,
    headers,
  };
  await handler(exchange);
}

function allowed(methods: Readonly<Partial<Record<string, unknown>>>): string {
  return Object.keys(methods)
    .flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
    .join(', ');
}

/** `.` and `..` are refused as keys: no client, proxy or browser would let them through to be read again. */
function decodeKey(segment: string): string {
  const key = decodeSegment(segment);
  if (key === '.' || key === '..') throw new Refusal(400, 'The key may not be "." or ".."');
  return key;
}

async function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  headers: readonly string[],
  { status, body, headers: own }: Refusal,
): Promise<void> {
  const whole = await discardBody(request);
  if (response.headersSent) response.destroy();
  else answerText({ response, headers: [...headers, ...own, ...(whole ? [] : ['Connection', 'close'])] }, status, body);
}

function explain(error: unknown, request: IncomingMessage, { logger }: ResolvedServerOptions): Refusal {
  if (error instanceof Refusal) return error;
  logger?.warn({ error, method: request.method, url: request.url }, 'kv: a request failed');
  if (error instanceof HypervaultError && error.retryable) {
    return new Refusal(503, 'The storage is not available, try again', ['Retry-After', '1']);
  }
  return new Refusal(500, 'Internal error');
}
