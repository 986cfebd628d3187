import { createHash } from 'node:crypto';
import type { Commit } from '../commit.ts';

const known = new WeakMap<Commit<unknown>, string>();

/**
 * The strong tag of a commit: its version and a digest of all that makes it equal to another. The version alone would
 * not do: what an asynchronous standby had not got is lost in a failover, and its version numbers come a second time.
 */
export function entityTagOf(commit: Commit<unknown>): string {
  let tag = known.get(commit);
  if (tag === undefined) {
    tag = `"${commit.version}-${digest(JSON.stringify(commit.meta), commit.payload ?? '')}"`;
    known.set(commit, tag);
  }
  return tag;
}

/** The strong tag of an answer by its bytes. */
export function entityTagOfText(text: string): string {
  return `"${digest(text)}"`;
}

function digest(...parts: (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('base64url').slice(0, 22);
}

/**
 * Whether a list of tags, as `If-Match` and `If-None-Match` hold it, names this one. `*` names whatever is there.
 *
 * @param weak also takes `W/"…"` for the same, as reads may (RFC 9110, 8.8.3.2)
 */
export function namesTag(header: string, tag: string | undefined, { weak }: { weak: boolean }): boolean {
  if (tag === undefined) return false;
  if (header.trim() === '*') return true;
  const listed = header.match(/(?:W\/)?"[^"]*"/g) ?? [];
  return listed.some((each) => each === tag || (weak && each === `W/${tag}`));
}
