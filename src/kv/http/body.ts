import type { IncomingMessage } from 'node:http';
import { Refusal } from './refusal.ts';

export interface BodyBounds {
  readonly maxBytes: number;
  readonly timeoutMs: number;
}

/**
 * Reads the body of a request, as bytes, whatever its content type says.
 *
 * @throws Refusal 413 over the bound, 408 when it takes too long, 400 when it ends before its end
 */
export function readBody(request: IncomingMessage, { maxBytes, timeoutMs }: BodyBounds): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const finish = (outcome: Buffer | Refusal): void => {
      clearTimeout(timer);
      request.off('data', onData).off('end', onEnd).off('error', onCut).off('aborted', onCut);
      if (outcome instanceof Refusal) reject(outcome);
      else resolve(outcome);
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > maxBytes) finish(tooLarge(maxBytes));
      else chunks.push(chunk);
    };
    const onEnd = (): void => finish(Buffer.concat(chunks, size));
    const onCut = (): void => finish(new Refusal(400, 'The body ended before its end'));
    const timer = setTimeout(
      () => finish(new Refusal(408, `The body did not arrive within ${timeoutMs} ms`)),
      timeoutMs,
    );
    if (Number(request.headers['content-length'] ?? 0) > maxBytes) return finish(tooLarge(maxBytes));
    request.on('data', onData).on('end', onEnd).on('error', onCut).on('aborted', onCut);
  });
}

function tooLarge(maxBytes: number): Refusal {
  return new Refusal(413, `The body may have at most ${maxBytes} bytes`);
}

/** What is read and thrown away of a refused body before the answer. */
const LINGER_BYTES = 4 * 1024 * 1024;
const LINGER_MS = 1_000;

/**
 * Throws away what is still coming of a request that is refused, within bounds: a client that is busy sending would
 * otherwise meet a reset connection instead of the answer.
 *
 * @returns whether the request came to its end; if not, the connection must be closed
 */
export function discardBody(request: IncomingMessage): Promise<boolean> {
  if (request.complete || request.destroyed) return Promise.resolve(request.complete);
  return new Promise((resolve) => {
    let size = 0;
    const finish = (): void => {
      clearTimeout(timer);
      request.off('data', onData).off('end', finish).off('error', finish).off('close', finish);
      resolve(request.complete);
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > LINGER_BYTES) finish();
    };
    const timer = setTimeout(finish, LINGER_MS);
    request.on('data', onData).on('end', finish).on('error', finish).on('close', finish);
  });
}
