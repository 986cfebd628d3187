import { rollbackKey, rollbackPrefix } from '../rollback.ts';
import { toCommitJson } from './commit-json.ts';
import { answerJson, answerText, type Exchange } from './exchange.ts';
import { answeringConflicts, authorOf, journalOf } from './journal-of.ts';
import { checkPreconditions } from './preconditions.ts';
import { queryNumber, queryRevision, queryText, queryYesNo } from './query.ts';
import { Refusal } from './refusal.ts';
import { requestText } from './request-text.ts';
import { MAX_DIFF_BYTES, shownDiff } from './shown-diff.ts';

const MAX_PAGE = 1_000;

/** `GET /KEY/history?limit=&before=&payload_base64=`: versions, newest first, tombstones included. */
export async function getHistory(exchange: Exchange): Promise<void> {
  const { key, query } = exchange;
  const limit = queryNumber(query, 'limit', MAX_PAGE) ?? 100;
  const before = queryNumber(query, 'before');
  const forms = { utf8: queryYesNo(query, 'payload_utf8'), base64: queryYesNo(query, 'payload_base64') };
  const versions = await journalOf(exchange).history(key, { limit: limit + 1, before });
  const page = versions.slice(0, limit).map((commit) => toCommitJson(commit, forms));
  answerJson(exchange, 200, JSON.stringify({ key, versions: page, more: versions.length > limit }));
}

/** `GET /KEY/diff?from=&to=`: a unified diff; by default what the newest version changed. Version 0 is "not there". */
export async function getDiff(exchange: Exchange): Promise<void> {
  const { key, query, options } = exchange;
  const to = queryNumber(query, 'to') ?? (await options.storage.get(key))?.version;
  if (to === undefined) throw new Refusal(404, 'Key not found');
  const from = queryNumber(query, 'from') ?? Math.max(0, to - 1);
  const [before, after] = [await payloadOf(exchange, from), await payloadOf(exchange, to)];
  const diff = shownDiff(before, after, [`${key} ${from}`, `${key} ${to}`]);
  if (diff === null) throw new Refusal(422, `Payloads of more than ${MAX_DIFF_BYTES} bytes are not compared here`);
  answerText(exchange, 200, diff);
}

async function payloadOf({ key, options }: Exchange, version: number): Promise<Buffer | null> {
  if (version === 0) return null;
  const commit = await options.storage.get(key, version);
  if (commit === null) throw new Refusal(404, 'Key not found');
  return commit.payload;
}

/** `POST /KEY/rollback?to=VERSION&from=NEWEST`: an older payload comes back as a new version. */
export async function postRollback(exchange: Exchange): Promise<void> {
  const { key, query, access } = exchange;
  if (!access.mayWrite(key)) throw new Refusal(403, 'Not allowed to write this key');
  const version = queryNumber(query, 'to');
  if (version === undefined) throw new Refusal(400, "Missing 'to' parameter (the version to bring back)");
  const seen = (await checkPreconditions(exchange))?.version;
  const from = queryNumber(query, 'from') ?? seen;
  await answeringConflicts(exchange, async () => {
    const steps = await rollbackKey(journalOf(exchange), key, version, { ...writeOptions(exchange), from });
    answerJson(exchange, 200, JSON.stringify({ steps }));
  });
}

/** `POST /-/rollback-prefix?prefix=&to=REVISION`: all keys with a prefix as they were, in one transaction. */
export async function postRollbackPrefix(exchange: Exchange): Promise<void> {
  const { query, access } = exchange;
  const prefix = queryText(query, 'prefix');
  const revision = queryRevision(query, 'to');
  if (revision === undefined) throw new Refusal(400, "Missing 'to' parameter (the revision to go back to)");
  const options = writeOptions(exchange);
  await answeringConflicts(exchange, async () => {
    const journal = journalOf(exchange);
    const plan = await rollbackPrefix(journal, prefix, revision, { ...options, dryRun: true });
    if (!plan.every(({ key }) => access.mayWrite(key)))
      throw new Refusal(403, 'Not allowed to write all of these keys');
    const steps = options.dryRun ? plan : await rollbackPrefix(journal, prefix, revision, options);
    answerJson(exchange, 200, JSON.stringify({ steps }));
  });
}

function writeOptions(exchange: Exchange): { author: string; comment: string | undefined; dryRun: boolean } {
  const comment = requestText(exchange.request, 'Comment');
  return { author: authorOf(exchange), comment, dryRun: queryYesNo(exchange.query, 'dry_run') };
}
