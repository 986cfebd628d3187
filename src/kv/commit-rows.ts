import type { ValueCodec } from './codec.ts';
import { Commit } from './commit.ts';
import type { CommitRow, MaybeCommitRow } from './statements.ts';

/** A row as a commit. @throws InvalidArgumentError when somebody wrote into the tables what no commit can be */
export function commitOfRow<V>(row: CommitRow, codec: ValueCodec<V> | undefined): Commit<V> {
  return new Commit<V>({ ...row, revision: BigInt(row.revision) }, codec);
}

/** Whether an outer join found a commit. */
export function hasCommit<Row extends MaybeCommitRow>(row: Row): row is Row & CommitRow {
  return row.key !== null;
}

/** The parameters of the kv functions that take one commit, behind the namespace. */
export function valuesOf({ key, version, payload, author, comment, mtime }: Commit<unknown>): unknown[] {
  // No version below 1 is ever the next one, and the server subtracts 1.
  return [key, Math.max(version, 0), payload, author, comment, mtime.toISOString()];
}

/** The same commit with the number it was given. */
export function withRevision<V>(commit: Commit<V>, revision: string, codec: ValueCodec<V> | undefined): Commit<V> {
  const { key, version, payload, author, comment, mtime } = commit;
  return new Commit<V>({ key, version, payload, author, comment, mtime, revision: BigInt(revision) }, codec);
}
