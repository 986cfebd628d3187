import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { AbortedError, OutcomeUnknownError, ServerUnavailableError, TimeoutError } from '../../errors.ts';
import { linkSignals } from '../../internal/link-signals.ts';

export interface HttpCall {
  readonly method: 'GET' | 'POST';
  readonly url: URL;
  /** Keys and values stand on the wire as they are given. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
  /** Bound of the whole exchange; 0 waits for ever. */
  readonly timeoutMs: number;
  /** Certificates to trust beside the system's, for https. */
  readonly ca?: string | Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly reason: string;
  header(name: string): string | undefined;
  readonly body: Buffer;
}

/** One request and its whole answer, at most `maxBytes` of it. Redirects are not followed: a POST would become a GET. */
export async function callHttp(call: HttpCall, maxBytes = 1024 * 1024 * 1024): Promise<HttpAnswer> {
  using limit = linkSignals([call.signal], call.timeoutMs === 0 ? undefined : call.timeoutMs);
  const progress = { sent: false };
  try {
    const message = await openHttp({ ...call, signal: limit.signal }, progress);
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of message as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxBytes) throw new Error(`the answer has more than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
    return {
      status: message.statusCode ?? 0,
      reason: message.statusMessage ?? '',
      header: (name) => message.headersDistinct[name]?.[0],
      body: Buffer.concat(chunks, size),
    };
  } catch (cause) {
    throw explain(call, limit.signal.aborted, progress.sent, cause);
  }
}

/** One request; resolves when the head of the answer is there. */
export function openHttp(call: HttpCall, progress: { sent: boolean } = { sent: false }): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const options = {
      method: call.method,
      headers: { Accept: '*/*', ...call.headers },
      ...(call.ca !== undefined && { ca: Buffer.from(call.ca) }),
      ...(call.signal !== undefined && { signal: call.signal }),
    };
    const request: ClientRequest =
      call.url.protocol === 'https:' ? httpsRequest(call.url, options) : httpRequest(call.url, options);
    request.on('socket', (socket) => {
      const onReady = (): void => {
        progress.sent = true;
      };
      if (socket.connecting) socket.once('connect', onReady);
      else onReady();
    });
    request.on('response', resolve).on('error', reject);
    request.end(call.body);
  });
}

function explain(call: HttpCall, late: boolean, sent: boolean, cause: unknown): Error {
  const { host } = call.url;
  if (call.signal?.aborted) return new AbortedError(`the request to ${host}`, call.signal.reason);
  const reason = late
    ? `no answer from ${host} within ${call.timeoutMs} ms`
    : `no answer from ${host}: ${cause instanceof Error && cause.message ? cause.message : String((cause as { code?: unknown }).code)}`;
  if (call.method === 'POST' && sent) {
    return new OutcomeUnknownError(`${reason}; the commit may or may not be saved, read it back to know`, { cause });
  }
  return late ? new TimeoutError(reason, { cause }) : new ServerUnavailableError(host, reason, { cause });
}
