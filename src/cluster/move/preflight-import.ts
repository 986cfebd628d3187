import type { PreflightProblem } from './preflight.ts';

/**
 * What an import that writes into the shard stands against. Its places in the log are kept by server, beside the rows: a
 * shard that went to another one would miss changes there or get them twice, and what it makes meanwhile is in no
 * publication.
 */
export function importProblems(shardId: number, holders: readonly string[]): PreflightProblem[] {
  if (holders.length === 0) return [];
  const message = `the import of ${holders.join(', ')} writes into shard ${shardId}, which stays where it is until that is over: end it with hypervault import finish (after the switch), detach-replica or drop-source, then move`;
  return [{ check: 'import', message }];
}
