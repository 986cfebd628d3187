import type { PreparedReport } from '../cluster/index.ts';
import { ageText } from './age.ts';
import type { Output } from './output.ts';

/** Shows parts of atomic writes that are in doubt, counted by server, and each transaction that somebody else prepared. */
export function showPrepared(output: Output, prepared: readonly PreparedReport[]): void {
  const parts = prepared.filter(({ part }) => part !== undefined);
  const others = prepared.filter(({ part }) => part === undefined);
  if (parts.length > 0) {
    const head = ['atomic writes on', 'parts prepared', 'oldest', 'to commit', 'to roll back', 'not known'];
    output.plain('\n');
    output.list([...byServer(parts)], head, ([server, ofServer]) => [
      server,
      ofServer.length,
      ageText(Math.max(...ofServer.map(({ ageMs }) => ageMs))),
      count(ofServer, 'decided'),
      count(ofServer, 'undecided'),
      count(ofServer, 'unknown'),
    ]);
    output.note('parts older than some seconds are ended by programs that call atomicWrites, or by hypervault janitor');
  }
  if (others.length > 0) {
    output.plain('\n');
    output.list(
      others,
      ['prepared on', 'database', 'name', 'by', 'since'],
      ({ server, database, name, role, ageMs }) => [server, database, name, role, ageText(ageMs)],
    );
    output.note(
      'these are not ours; as long as they stay VACUUM keeps dead rows there, and no move from there can begin',
    );
  }
}

function byServer(parts: readonly PreparedReport[]): Map<string, PreparedReport[]> {
  const groups = new Map<string, PreparedReport[]>();
  for (const part of parts) groups.set(part.server, [...(groups.get(part.server) ?? []), part]);
  return groups;
}

function count(parts: readonly PreparedReport[], decision: PreparedReport['decision']): number {
  return parts.filter((part) => part.decision === decision).length;
}
