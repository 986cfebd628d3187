import { HypervaultError, ServerUnavailableError } from '../../errors.ts';
import { Backoff } from '../../internal/backoff.ts';
import { linkSignals } from '../../internal/link-signals.ts';
import { sleep } from '../../internal/sleep.ts';
import type { ValueCodec } from '../codec.ts';
import type { Commit } from '../commit.ts';
import type { WatchOptions } from '../storage.ts';
import { openHttp } from './client.ts';
import { fromCommitJson } from './commit-json.ts';
import { readEvents } from './event-stream.ts';
import { assertSuccess, queryOf, type Remote, throwTyped } from './remote.ts';

/** The server sends something every 15 s; silence for longer is a dead link. */
const SILENCE_MS = 35_000;

/**
 * Follows a commit server's watch, and comes back after every cut with the revision seen last, so nothing is missed.
 * Ends quietly with its signal; what will not pass is thrown: a compacted history, a refused token.
 */
export async function* watchRemote<V>(
  remote: Remote,
  codec: ValueCodec<V> | undefined,
  { after, prefix, signal, onProgress }: WatchOptions,
): AsyncGenerator<Commit<V>, void, undefined> {
  const backoff = new Backoff({ baseMs: 25, maxMs: 1_000 });
  let cursor = after;
  for (;;) {
    try {
      for await (const event of open(remote, cursor, prefix, signal)) {
        backoff.reset();
        if (event.name === 'compacted') throwTyped(Buffer.from(event.data));
        const commit = event.name === 'commit' ? fromCommitJson(JSON.parse(event.data), codec) : undefined;
        if (commit !== undefined) yield commit;
        if (event.id === undefined) continue;
        // Moved on only once the commit was taken: a reader that stops here has not seen it.
        cursor = BigInt(event.id);
        onProgress?.(cursor);
      }
    } catch (error) {
      if (signal?.aborted) return;
      if (!(error instanceof HypervaultError && error.retryable)) throw error;
    }
    if (signal?.aborted) return;
    try {
      await sleep(backoff.next(), { signal, what: 'watching' });
    } catch {
      return;
    }
  }
}

async function* open(
  remote: Remote,
  after: bigint | undefined,
  prefix: string | undefined,
  signal: AbortSignal | undefined,
): ReturnType<typeof readEvents> {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  using either = linkSignals([signal, silence.signal]);
  const url = remote.url(`/-/watch${queryOf({ after, prefix, payload_base64: 'yes' })}`);
  try {
    const message = await openHttp({
      method: 'GET',
      url,
      headers: { Accept: 'text/event-stream', ...remote.authorization },
      timeoutMs: 0,
      ca: remote.ca,
      signal: either.signal,
    });
    const { statusCode: status = 0, statusMessage: reason = '' } = message;
    if (status !== 200) {
      const chunks: Buffer[] = [];
      for await (const chunk of message as AsyncIterable<Buffer>) chunks.push(chunk);
      assertSuccess({ status, reason, body: Buffer.concat(chunks) });
    }
    message.on('data', () => {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
    });
    yield* readEvents(message as AsyncIterable<Buffer>);
  } catch (cause) {
    if (cause instanceof HypervaultError) throw cause;
    throw new ServerUnavailableError(url.host, `the watch at ${url.host} was cut`, { cause });
  } finally {
    clearTimeout(timer);
  }
}
