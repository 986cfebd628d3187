import type { EventStore } from 'pg-hypervault/streams';
import type { Change } from './history.ts';

/** What a consumer has made of the changes it was given. */
export class Tally {
  readonly commits = new Set<string>();
  readonly filesOf = new Map<string, number>();
  readonly linesBy = new Map<string, number>();
  count = 0;

  add({ commit, author, file, added, deleted }: Change): void {
    this.count += 1;
    this.commits.add(commit);
    this.filesOf.set(file, (this.filesOf.get(file) ?? 0) + 1);
    this.linesBy.set(author, (this.linesBy.get(author) ?? 0) + (added ?? 0) + (deleted ?? 0));
  }
}

/** Consumers of one group work the events off together until all are done. @returns how many each of them had */
export async function workOff(
  store: EventStore,
  { group, source, consumers, total }: { group: string; source: string; consumers: number; total: number },
): Promise<{ tally: Tally; shares: number[] }> {
  const tally = new Tally();
  const subs = await Promise.all(
    Array.from({ length: consumers }, () => store.connectSubscription(group, source, { maxInFlight: 100 })),
  );
  const shares = await Promise.all(
    subs.map(async (sub) => {
      let share = 0;
      for await (const event of sub.events) {
        tally.add(event.json<Change>());
        await sub.ack(event);
        share += 1;
        if (tally.count === total) await Promise.all(subs.map((other) => other.close()));
      }
      return share;
    }),
  );
  return { tally, shares };
}
