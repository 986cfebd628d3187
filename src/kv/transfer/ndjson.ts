import { Commit } from '../commit.ts';
import { CommitFormatError } from '../errors.ts';
import { commitInputOf, toCommitJson } from '../http/commit-json.ts';
import { readLines } from './lines.ts';

/** One commit as a line of JSON, line end included; payloads in base64, so every byte stays what it was. */
export function toNdjson(commit: Commit<unknown>, { payload = true }: { payload?: boolean } = {}): string {
  return `${JSON.stringify(toCommitJson(commit, { utf8: false, base64: payload }))}\n`;
}

/**
 * Reads what {@link toNdjson} wrote, and lines written by hand (`payload_utf8` instead of `payload_base64`).
 *
 * @throws CommitFormatError naming the line
 */
export async function* readNdjson(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Commit, void, undefined> {
  let number = 0;
  for await (const line of readLines(chunks)) {
    number += 1;
    if (line.trim() !== '') yield commitOf(line, number);
  }
}

function commitOf(line: string, number: number): Commit {
  try {
    const json: unknown = JSON.parse(Buffer.from(line, 'latin1').toString());
    return new Commit(commitInputOf(json, undefined));
  } catch (cause) {
    throw new CommitFormatError(`line ${number}: ${(cause as Error).message}`, { cause });
  }
}
