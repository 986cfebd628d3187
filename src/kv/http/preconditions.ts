import type { Commit } from '../commit.ts';
import { entityTagOf, namesTag } from './entity-tag.ts';
import type { Exchange } from './exchange.ts';
import { Refusal } from './refusal.ts';

/** What every answer that has a tag says: keep it, and ask whether it still holds. */
export function taggedHeaders(tag: string): readonly string[] {
  return ['ETag', tag, 'Cache-Control', 'no-cache'];
}

/** Answers 304 when the client holds this already. @returns whether it did */
export function answerNotModified(
  { request, response, headers }: Exchange,
  tag: string,
  own: readonly string[],
): boolean {
  const held = request.headers['if-none-match'];
  if (held === undefined || !namesTag(held, tag, { weak: true })) return false;
  response.writeHead(304, [...headers, ...own]).end();
  return true;
}

/**
 * Compares the newest version of a key with `If-Match` and `If-None-Match` of a write; they mean the tags that
 * `GET /KEY` answers. A removed key is not there.
 *
 * @returns the newest version where the key was looked at
 * @throws Refusal 412
 */
export async function checkPreconditions({ request, key, options }: Exchange): Promise<Commit<unknown> | undefined> {
  const { 'if-match': match, 'if-none-match': noneMatch } = request.headers;
  if (match === undefined && noneMatch === undefined) return undefined;
  const head = await options.storage.get(key);
  const tag = head === null || head.isEmpty ? undefined : entityTagOf(head);
  const holds =
    (match === undefined || namesTag(match, tag, { weak: false })) &&
    (noneMatch === undefined || !namesTag(noneMatch, tag, { weak: true }));
  if (holds) return head ?? undefined;
  throw new Refusal(412, 'The key is not what the precondition says', tag === undefined ? [] : ['ETag', tag]);
}
