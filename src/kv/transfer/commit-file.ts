import { createGunzip } from 'node:zlib';
import type { Commit } from '../commit.ts';
import { readNdjson } from './ndjson.ts';
import { readRainerDump } from './sql-dump.ts';

const BRACE = 0x7b;
const SPACES: readonly number[] = [0x20, 0x09, 0x0a, 0x0d];

/**
 * Reads commits out of a file by what it begins with: lines of JSON, or a dump of MySQL or Postgres that holds a Rainer
 * table; either may be compressed with gzip.
 *
 * @throws CommitFormatError
 */
export async function* readCommitFile(
  chunks: AsyncIterable<Uint8Array>,
  { table }: { table?: string | undefined } = {},
): AsyncGenerator<Commit, void, undefined> {
  const { head, all } = await peek(chunks, 2);
  const zipped = head[0] === 0x1f && head[1] === 0x8b;
  const plain = await peek(zipped ? gunzip(all) : all, 1);
  const first = plain.head.find((byte) => !SPACES.includes(byte));
  if (plain.head.length === 0) return;
  yield* first === BRACE ? readNdjson(plain.all) : readRainerDump(plain.all, { table });
}

async function* gunzip(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const unzip = createGunzip();
  const feeding = (async () => {
    for await (const chunk of chunks) {
      if (!unzip.write(chunk))
        await new Promise<void>((resolve) => unzip.once('drain', resolve).once('close', resolve));
    }
    unzip.end();
  })().catch((error: Error) => unzip.destroy(error));
  yield* unzip as AsyncIterable<Uint8Array>;
  await feeding;
}

/** The first bytes, at least so many where there are so many, and the whole, they included. */
async function peek(
  chunks: AsyncIterable<Uint8Array>,
  bytes: number,
): Promise<{ head: Uint8Array; all: AsyncIterable<Uint8Array> }> {
  const iterator = chunks[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  let ended = false;
  while (!ended && head.length < bytes) {
    const { value, done } = await iterator.next();
    if (done) ended = true;
    else head = Buffer.concat([head, value]);
  }
  async function* all(): AsyncGenerator<Uint8Array> {
    try {
      if (head.length > 0) yield head;
      for (let at = await iterator.next(); !at.done; at = await iterator.next()) yield at.value;
    } finally {
      await iterator.return?.();
    }
  }
  return { head, all: all() };
}
