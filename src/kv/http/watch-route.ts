import { once } from 'node:events';
import { linkSignals } from '../../internal/link-signals.ts';
import { RevisionCompactedError } from '../errors.ts';
import { toCommitJson } from './commit-json.ts';
import { type Exchange, headerLookup } from './exchange.ts';
import { answeringConflicts, compactedJson, journalOf } from './journal-of.ts';
import { parseRevision, queryRevision, queryText, queryYesNo } from './query.ts';
import { Refusal } from './refusal.ts';

/** Between two signs of life; proxies cut what is silent for longer. */
const HEARTBEAT_MS = 15_000;
/** A client that takes nothing for so long is gone, or as good as. It comes back with its Last-Event-ID. */
const STALL_MS = 30_000;

/** Watches under way, by the options of their server. */
const watching = new WeakMap<object, number>();

/**
 * `GET /-/watch?after=REVISION&prefix=`: commits as they happen, as Server-Sent Events. Each event's id is its revision,
 * so a client that comes back with `Last-Event-ID` misses nothing; `progress` events move that id on where nothing
 * matched. When the history after the asked revision is no longer whole the answer is a 410, or the last event
 * `compacted`: list the keys again.
 */
export async function getWatch(exchange: Exchange): Promise<void> {
  const { request, response, query, access, options } = exchange;
  const journal = journalOf(exchange);
  const lastId = headerLookup(request)('last-event-id');
  const asked = lastId === undefined ? queryRevision(query, 'after') : parseRevision(lastId, 'Last-Event-ID');
  const forms = { utf8: queryYesNo(query, 'payload_utf8'), base64: queryYesNo(query, 'payload_base64') };
  const prefix = queryText(query, 'prefix');
  const count = watching.get(options) ?? 0;
  if (count >= options.maxWatches) throw new Refusal(503, 'Too many watches', ['Retry-After', '5']);
  await answeringConflicts(exchange, async () => {
    const after = asked ?? (await journal.revision());
    // Asked once before the answer begins, so that "compacted" can be its status.
    await journal.changes({ after, limit: 1, prefix });
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    using either = linkSignals([gone.signal, options.signal]);
    response.writeHead(200, [
      ...exchange.headers,
      ...['Content-Type', 'text/event-stream', 'Cache-Control', 'no-store', 'X-Accel-Buffering', 'no'],
    ]);
    const stream = new EventStream(response, after);
    if (request.method === 'HEAD') return stream.end();
    watching.set(options, count + 1);
    try {
      const onProgress = (revision: bigint): void => stream.progress(revision);
      const commits = journal.watch({ after, prefix, signal: either.signal, onProgress });
      for await (const commit of commits) {
        if (access.mayRead(commit.key)) await stream.commit(commit.revision!, toCommitJson(commit, forms));
        else stream.progress(commit.revision!);
      }
    } catch (error) {
      if (error instanceof RevisionCompactedError) stream.event('compacted', undefined, compactedJson(error));
      else options.logger?.warn({ error }, 'kv: a watch ended');
    } finally {
      watching.set(options, (watching.get(options) ?? 1) - 1);
      stream.end();
    }
  });
}

/** Writes events, says that it lives when there are none, and gives up on a reader that takes nothing. */
class EventStream {
  readonly #response: Exchange['response'];
  readonly #heartbeat: NodeJS.Timeout;
  #sent: bigint;
  #reached: bigint;

  constructor(response: Exchange['response'], after: bigint) {
    this.#response = response;
    this.#sent = this.#reached = after;
    response.write('retry: 1000\n\n');
    this.event('progress', after, JSON.stringify({ revision: String(after) }));
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS);
  }

  /** Waits until the client takes more. */
  async commit(revision: bigint, json: object): Promise<void> {
    this.#sent = this.#reached = revision;
    if (this.event('commit', revision, JSON.stringify(json)) || this.#response.destroyed) return;
    const stalled = setTimeout(() => this.#response.destroy(), STALL_MS);
    // The listeners of the one that did not happen must go: a slow reader comes by here with every commit.
    const over = new AbortController();
    const { signal } = over;
    await Promise.race([once(this.#response, 'drain', { signal }), once(this.#response, 'close', { signal })]).catch(
      () => {},
    );
    over.abort();
    clearTimeout(stalled);
  }

  /** Told with the next sign of life. */
  progress(revision: bigint): void {
    this.#reached = revision;
  }

  event(name: string, id: bigint | undefined, data: string): boolean {
    const idLine = id === undefined ? '' : `id: ${id}\n`;
    return this.#response.write(`event: ${name}\n${idLine}data: ${data}\n\n`);
  }

  end(): void {
    clearInterval(this.#heartbeat);
    this.#response.end();
  }

  #beat(): void {
    if (this.#reached > this.#sent) {
      this.#sent = this.#reached;
      this.event('progress', this.#reached, JSON.stringify({ revision: String(this.#reached) }));
    } else {
      this.#response.write(': still here\n\n');
    }
  }
}
