import type { Commit } from '../commit.ts';
import { isJournal } from '../storage.ts';
import { toCommitJson } from './commit-json.ts';
import { entityTagOfText } from './entity-tag.ts';
import { answerJson, type Exchange, REVISION_HEADER } from './exchange.ts';
import { answerNotModified, taggedHeaders } from './preconditions.ts';
import { queryText, queryYesNo } from './query.ts';

/**
 * `GET /`: the newest commit of every key, or of those with a `prefix`; from the mirror when there is one, which knows
 * no tombstones.
 */
export async function listHeads(exchange: Exchange): Promise<void> {
  const { query, access } = exchange;
  const all = queryYesNo(query, 'all');
  const forms = { utf8: queryYesNo(query, 'payload_utf8'), base64: queryYesNo(query, 'payload_base64') };
  const prefix = queryText(query, 'prefix');
  const { heads, revision } = await headsOf(exchange.options, prefix);
  const wanted = [...heads.values()].filter(
    (commit) => (all || !commit.isEmpty) && commit.key.startsWith(prefix) && access.mayRead(commit.key),
  );
  wanted.sort((a, b) => (a.key < b.key ? -1 : 1));
  // Written by hand because an object would put keys like "10" first and lose "__proto__".
  const entries = wanted.map((commit) => {
    const { revision: _, ...json } = toCommitJson(commit, forms);
    return `${JSON.stringify(commit.key)}:${JSON.stringify(json)}`;
  });
  const json = `{${entries.join(',')}}`;
  const tag = entityTagOfText(json);
  const headers = [...(revision === undefined ? [] : [REVISION_HEADER, String(revision)]), ...taggedHeaders(tag)];
  if (!answerNotModified(exchange, tag, headers)) answerJson(exchange, 200, json, headers);
}

interface Heads {
  readonly heads: ReadonlyMap<string, Commit<unknown>>;
  readonly revision?: bigint | undefined;
}

async function headsOf({ storage, mirror }: Exchange['options'], prefix: string): Promise<Heads> {
  if (mirror !== undefined) return { heads: mirror.current, revision: mirror.revision };
  return isJournal(storage) ? storage.snapshot({ prefix }) : { heads: await storage.heads({ prefix }) };
}
