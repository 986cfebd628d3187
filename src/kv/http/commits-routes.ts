import { isUtf8 } from 'node:buffer';
import { Commit } from '../commit.ts';
import { CommitFormatError } from '../errors.ts';
import { readBody } from './body.ts';
import { commitInputOf, toCommitJson } from './commit-json.ts';
import { answerJson, type Exchange } from './exchange.ts';
import { answeringConflicts, journalOf } from './journal-of.ts';
import { queryNumber, queryRevision, queryText, queryYesNo } from './query.ts';
import { Refusal } from './refusal.ts';
import { requestText } from './request-text.ts';

const MAX_PAGE = 1_000;
/** Of one transaction: it keeps all other writers waiting. */
const MAX_COMMITS = 1_000;

/** `GET /-/changes?after=REVISION&prefix=&limit=`: every commit after a revision, in order. */
export async function getChanges(exchange: Exchange): Promise<void> {
  const { query, access } = exchange;
  const after = queryRevision(query, 'after');
  if (after === undefined) throw new Refusal(400, "Missing 'after' parameter (a revision; 0 is the beginning)");
  const limit = queryNumber(query, 'limit', MAX_PAGE) ?? 100;
  const forms = { utf8: queryYesNo(query, 'payload_utf8'), base64: queryYesNo(query, 'payload_base64') };
  await answeringConflicts(exchange, async () => {
    const prefix = queryText(query, 'prefix');
    const { commits, revision, more } = await journalOf(exchange).changes({ after, limit: Math.max(1, limit), prefix });
    const readable = commits.filter(({ key }) => access.mayRead(key));
    const body = { revision: String(revision), more, commits: readable.map((commit) => toCommitJson(commit, forms)) };
    answerJson(exchange, 200, JSON.stringify(body));
  });
}

/** `GET /-/revision`: the newest one. */
export async function getRevision(exchange: Exchange): Promise<void> {
  answerJson(exchange, 200, JSON.stringify({ revision: String(await journalOf(exchange).revision()) }));
}

/**
 * `POST /-/commits`: several keys, all or none. The body is JSON: `{ "commits": [{ "key", "version", "payload_utf8" |
 * "payload_base64" | "empty", "author", "comment", "mtime" }], "compare": { "key": version } }`.
 */
export async function postCommits(exchange: Exchange): Promise<void> {
  const { request, options, access } = exchange;
  const bounds = { maxBytes: options.maxPayloadBytes, timeoutMs: options.bodyTimeoutMs };
  const body = await readBody(request, bounds);
  await answeringConflicts(exchange, async () => {
    const { commits, compare } = parseBody(exchange, body);
    if (!commits.every(({ key }) => access.mayWrite(key)))
      throw new Refusal(403, 'Not allowed to write all of these keys');
    if (![...compare.keys()].every((key) => access.mayRead(key)))
      throw new Refusal(403, 'Not allowed to read all of these keys');
    for (const { key, value } of commits) {
      if (value?.ok === false) throw new Refusal(400, `Malformed input: ${key}: ${String(value.error)}`);
    }
    const saved = await journalOf(exchange).saveAll(commits, { compare });
    answerJson(exchange, 200, JSON.stringify({ commits: saved.map((commit) => toCommitJson(commit, NO_PAYLOAD)) }));
  });
}

const NO_PAYLOAD = { utf8: false, base64: false };

function parseBody(
  { access, request, options }: Exchange,
  body: Buffer,
): { commits: Commit<unknown>[]; compare: Map<string, number> } {
  const { commits, compare = {} } = parseObject(body);
  if (!Array.isArray(commits) || commits.length === 0 || commits.length > MAX_COMMITS) {
    throw new CommitFormatError(`"commits" must be a JSON array of 1 to ${MAX_COMMITS} commits`);
  }
  if (typeof compare !== 'object' || compare === null || Array.isArray(compare)) {
    throw new CommitFormatError('"compare" must be a JSON object of keys and versions');
  }
  const compared = new Map<string, number>();
  for (const [key, version] of Object.entries(compare)) {
    if (!Number.isInteger(version) || (version as number) < 0 || (version as number) >= 2 ** 31) {
      throw new CommitFormatError(`"compare": the version of ${key} must be a JSON number, 0 for a key never saved`);
    }
    compared.set(key, version as number);
  }
  const byDefault = requestText(request, 'Author');
  const made = commits.map((json: unknown) => {
    const input = commitInputOf(json, access.author);
    const author = input.author ?? byDefault;
    if (author === undefined) throw new CommitFormatError('Missing header: X-Rainer-Author');
    return new Commit({ ...input, author, mtime: input.mtime ?? options.now() }, options.codec);
  });
  return { commits: made, compare: compared };
}

function parseObject(body: Buffer): Record<string, unknown> {
  if (!isUtf8(body)) throw new CommitFormatError('The body is not UTF-8');
  try {
    const json: unknown = JSON.parse(body.toString());
    if (typeof json === 'object' && json !== null) return json as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new CommitFormatError('The body must be a JSON object with "commits"');
}
