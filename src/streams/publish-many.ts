import { throwIfAborted } from '../internal/sleep.ts';
import type { WriteResult } from './append-call.ts';
import { BadRequestError } from './errors.ts';
import type { ExpectedVersion } from './expected-version.ts';
import type { NewEvent } from './new-event.ts';

export interface PublishManyRequest {
  readonly maxChunk: number;
  /** Of the first chunk; each further one expects what the one before it wrote, unless this is `'any'`. */
  readonly expected: ExpectedVersion | undefined;
  readonly signal: AbortSignal | undefined;
  /** Writes a chunk, whole or not at all. */
  readonly write: (events: readonly NewEvent[], expected: ExpectedVersion | undefined) => Promise<WriteResult>;
}

/**
 * Writes a source of events that may never end. One chunk fills while another one is on its way; when both are full the
 * source is not asked for more. A chunk goes out as soon as the one before it is written, full or not.
 *
 * On a failure – of the source or of a write – only whole chunks are there, and the source is told to stop.
 *
 * @returns what was written in all; `undefined` for an empty source
 */
export async function publishMany(
  source: AsyncIterable<NewEvent>,
  { maxChunk, expected, signal, write }: PublishManyRequest,
): Promise<WriteResult | undefined> {
  const filling = new Filling(source, maxChunk);
  let first: WriteResult | undefined;
  let last: WriteResult | undefined;
  const onAbort = (): void => filling.stop();
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    throwIfAborted(signal, 'publish');
    for (let chunk = await filling.take(); chunk.length > 0; chunk = await filling.take()) {
      const expects = last === undefined || expected === 'any' ? expected : last.lastEventNumber;
      last = await write(chunk, expected === undefined ? undefined : expects);
      first ??= last;
    }
    throwIfAborted(signal, 'publish');
  } finally {
    signal?.removeEventListener('abort', onAbort);
    filling.stop();
  }
  return first && last && { ...last, firstEventNumber: first.firstEventNumber };
}

/** Reads a source into chunks, ahead of whoever takes them, by one chunk. */
class Filling {
  readonly #maxChunk: number;
  #chunk: NewEvent[] = [];
  #over = false;
  #failure: { readonly error: unknown } | undefined;
  #changed: (() => void) | undefined;
  #room: (() => void) | undefined;

  constructor(source: AsyncIterable<NewEvent>, maxChunk: number) {
    this.#maxChunk = maxChunk;
    void this.#read(source);
  }

  /** The events that have come; waits for the first of them. None: the source has ended. Throws its failure. */
  async take(): Promise<NewEvent[]> {
    while (this.#chunk.length === 0 && !this.#over) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
    // A source that has more at hand fills the chunk meanwhile.
    if (!this.#over && this.#chunk.length < this.#maxChunk) await new Promise((resolve) => setImmediate(resolve));
    if (this.#failure !== undefined) throw this.#failure.error;
    const chunk = this.#chunk;
    this.#chunk = [];
    this.#room?.();
    return chunk;
  }

  /** Asks the source for nothing more. What waits is dropped. */
  stop(): void {
    this.#over = true;
    this.#chunk = [];
    this.#room?.();
    this.#changed?.();
  }

  async #read(source: AsyncIterable<NewEvent>): Promise<void> {
    try {
      for await (const event of source) {
        if (this.#over) return;
        this.#chunk.push(event);
        this.#changed?.();
        while (this.#chunk.length >= this.#maxChunk && !this.#over) {
          await new Promise<void>((resolve) => {
            this.#room = resolve;
          });
        }
      }
    } catch (error) {
      this.#failure = { error };
    } finally {
      this.#over = true;
      this.#changed?.();
    }
  }
}

/** @throws BadRequestError */
export function isAsyncIterable(value: unknown): value is AsyncIterable<NewEvent> {
  if (typeof value === 'object' && value !== null) return Symbol.asyncIterator in value;
  throw new BadRequestError('publish: give a list of events, or an async iterable of them');
}
