import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Access } from './access.ts';
import type { HeaderLookup } from './commit-headers.ts';
import type { ResolvedServerOptions } from './options.ts';

/** One request and its answer, with what the handlers need to know. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
  /** The decoded key of the path; '' on routes without one. */
  readonly key: string;
  /** The second name of the path, still encoded, where it is a version. */
  readonly version: string;
  /** The third name of the path, still encoded. */
  readonly file: string;
  readonly access: Access;
  readonly options: ResolvedServerOptions;
  /** Headers that every answer to this request carries: name, value, name, value … */
  readonly headers: string[];
}

/** A received header by its lower-case name; the first one when it came twice. */
export function headerLookup(request: IncomingMessage): HeaderLookup {
  return (name) => request.headersDistinct[name]?.[0];
}

/** The revision a list stands at, or that a saved commit was given: a watch after it misses nothing. */
export const REVISION_HEADER = 'X-Hypervault-Revision';

const TEXT = 'text/plain; charset=UTF-8';
const JSON_TYPE = 'application/json';

/** Answers a request. `headers` stand as they are given, name, value, name, value …: their case matters to some. */
export function answer(
  { response, headers: always }: Pick<Exchange, 'response' | 'headers'>,
  status: number,
  type: string,
  body: string | Uint8Array,
  headers: readonly string[] = [],
): void {
  const length = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
  response.writeHead(status, [...always, ...headers, 'Content-Type', type, 'Content-Length', String(length)]);
  // Node leaves the body out by itself when the request is HEAD.
  response.end(body);
}

export function answerText(exchange: Pick<Exchange, 'response' | 'headers'>, status: number, body: string): void {
  answer(exchange, status, TEXT, body);
}

/** JSON on the wire ends in CR LF. */
export function answerJson(
  exchange: Pick<Exchange, 'response' | 'headers'>,
  status: number,
  json: string,
  headers: readonly string[] = [],
): void {
  answer(exchange, status, JSON_TYPE, `${json}\r\n`, headers);
}

export const PAYLOAD_TYPES = { text: TEXT, bytes: 'application/octet-stream' } as const;
