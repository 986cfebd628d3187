import type { Commit } from '../commit.ts';
import { fromEnvelope } from '../envelope.ts';
import { CommitFormatError } from '../errors.ts';

/** A row of a Rainer table, by the names of its columns. The other columns (`is_empty`) repeat what the blob says. */
export interface RainerRow {
  readonly name: unknown;
  readonly version: unknown;
  readonly payload: unknown;
}

/**
 * The commit of a row. The header in the blob is the truth; the columns must agree with it.
 *
 * @throws CommitFormatError naming the row
 */
export function commitOfRainerRow({ name, version, payload }: RainerRow): Commit {
  const key = Buffer.isBuffer(name) ? name.toString() : String(name);
  const row = `the row ${JSON.stringify(key)}, version ${String(version)}`;
  if (!Buffer.isBuffer(payload)) throw new CommitFormatError(`${row} has no blob in its column "payload"`);
  let commit: Commit;
  try {
    commit = fromEnvelope(payload);
  } catch (cause) {
    throw new CommitFormatError(`${row}: ${(cause as Error).message}`, { cause });
  }
  if (commit.key === key && commit.version === Number(version)) return commit;
  throw new CommitFormatError(`${row} holds version ${commit.version} of ${JSON.stringify(commit.key)}`);
}
