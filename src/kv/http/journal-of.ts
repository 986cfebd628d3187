import { InvalidArgumentError } from '../../errors.ts';
import { CommitFormatError, CommitOrderingError, CommitRefusedError, RevisionCompactedError } from '../errors.ts';
import { type CommitJournal, isJournal } from '../storage.ts';
import { answerJson, type Exchange } from './exchange.ts';
import { Refusal } from './refusal.ts';
import { requestText } from './request-text.ts';

/** The storage with its revisions and history. @throws Refusal 501 when it keeps none */
export function journalOf({ options }: Pick<Exchange, 'options'>): CommitJournal<unknown> {
  if (isJournal(options.storage)) return options.storage;
  throw new Refusal(501, 'This storage keeps no revisions');
}

/** Who writes: whom the token belongs to, else who the request says. @throws Refusal 400 */
export function authorOf({ access, request }: Pick<Exchange, 'access' | 'request'>): string {
  const author = access.author ?? requestText(request, 'Author');
  if (author === undefined) throw new Refusal(400, 'Missing header: X-Rainer-Author');
  return author;
}

/** Runs what writes or reads the journal, and answers what it throws: 409, 410, or 400 with the reason. */
export async function answeringConflicts(exchange: Exchange, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (error instanceof CommitOrderingError) return answerJson(exchange, 409, conflictJson(error));
    if (error instanceof RevisionCompactedError) return answerJson(exchange, 410, compactedJson(error));
    if (
      error instanceof CommitRefusedError ||
      error instanceof InvalidArgumentError ||
      error instanceof CommitFormatError
    ) {
      throw new Refusal(400, error.message);
    }
    throw error;
  }
}

/** The body of a 409. */
function conflictJson({ key, expectedVersion, providedVersion }: CommitOrderingError): string {
  return JSON.stringify({ conflict: { key, expectedVersion, providedVersion } });
}

/** The body of a 410, and of the event that ends a watch: list the keys, then watch from the revision of that list. */
export function compactedJson({ revision, compactedThrough }: RevisionCompactedError): string {
  return JSON.stringify({ compacted: { revision: String(revision), compactedThrough: String(compactedThrough) } });
}
