import { InvalidArgumentError } from '../../errors.ts';
import { Commit } from '../commit.ts';
import { dryRun } from '../dry-run.ts';
import { parseIsoTime } from '../iso-time.ts';
import { readBody } from './body.ts';
import type { HeaderLookup } from './commit-headers.ts';
import { entityTagOf } from './entity-tag.ts';
import { answerJson, type Exchange, headerLookup, REVISION_HEADER } from './exchange.ts';
import { answeringConflicts } from './journal-of.ts';
import { checkPreconditions } from './preconditions.ts';
import { queryYesNo } from './query.ts';
import { Refusal } from './refusal.ts';
import { requestText } from './request-text.ts';
import { shownDiff } from './shown-diff.ts';
import { parseVersion } from './target.ts';
import { parseYesNo } from './yes-no.ts';

/**
 * `POST /KEY/VERSION`: saves one more version; with `?dry_run=yes` only says whether it would. The order of the checks is
 * the wire's: a bad payload beats a conflict.
 */
export async function postVersion(exchange: Exchange): Promise<void> {
  const { request, key, query, options, access } = exchange;
  const version = parseVersion(exchange.version);
  const header = headerLookup(request);
  const dry = queryYesNo(query, 'dry_run');
  if (!access.mayWrite(key)) throw new Refusal(403, 'Not allowed to write this key');
  const body = await readBody(request, { maxBytes: options.maxPayloadBytes, timeoutMs: options.bodyTimeoutMs });
  const commit = commitOf(exchange, version, body, header);
  await checkPreconditions(exchange);
  await answeringConflicts(exchange, async () => {
    if (dry) return answerDryRun(exchange, commit);
    // A storage of somebody's own, in plain JavaScript, may return nothing.
    const revision = ((await options.storage.save(commit)) as Commit<unknown> | undefined)?.revision;
    const headers = [
      ...(revision === undefined ? [] : [REVISION_HEADER, String(revision)]),
      'ETag',
      entityTagOf(commit),
    ];
    answerJson(exchange, 200, JSON.stringify(commit.meta), headers);
  });
}

/** What would be saved, and how it differs; that is shown to those who may read the key. */
async function answerDryRun(exchange: Exchange, commit: Commit<unknown>): Promise<void> {
  const { key, access, options } = exchange;
  const { head } = await dryRun(options.storage, commit);
  const names = [`${key} ${commit.version - 1}`, `${key} ${commit.version}`] as const;
  const diff = access.mayRead(key) ? shownDiff(head?.payload ?? null, commit.payload, names) : null;
  answerJson(exchange, 200, JSON.stringify({ dry_run: true, commit: commit.meta, diff }));
}

function commitOf(
  { request, key, access, options }: Exchange,
  version: number,
  body: Buffer,
  header: HeaderLookup,
): Commit<unknown> {
  if ((requestText(request, 'Key') ?? key) !== key) {
    throw new Refusal(400, 'X-Rainer-Key must match URL key, or be omitted');
  }
  if ((header('x-rainer-version') ?? String(version)) !== String(version)) {
    throw new Refusal(400, 'X-Rainer-Version must match URL version, or be omitted');
  }
  const author = access.author ?? requestText(request, 'Author');
  if (author === undefined) throw new Refusal(400, 'Missing header: X-Rainer-Author');
  const comment = requestText(request, 'Comment') ?? '';
  const empty = parseYesNo(header('x-rainer-empty') ?? 'false');
  if (empty === undefined) throw new Refusal(400, 'Malformed header: X-Rainer-Empty');
  const mtime = readTime(header('x-rainer-modified-time')) ?? options.now();
  if (empty && body.length > 0) throw new Refusal(400, 'Empty payload required with X-Rainer-Empty');
  const commit = makeCommit(
    () => new Commit({ key, version, payload: empty ? null : body, author, comment, mtime }, options.codec),
  );
  const value = commit.value;
  if (value?.ok === false) throw new Refusal(400, `Malformed input: ${String(value.error)}`);
  return commit;
}

function readTime(text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  try {
    return parseIsoTime(text);
  } catch {
    throw new Refusal(400, 'Malformed header: X-Rainer-Modified-Time');
  }
}

function makeCommit(make: () => Commit<unknown>): Commit<unknown> {
  try {
    return make();
  } catch (error) {
    if (error instanceof InvalidArgumentError) throw new Refusal(400, error.message);
    throw error;
  }
}
