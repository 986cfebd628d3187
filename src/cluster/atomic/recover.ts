import type { Datastore } from '../../core/index.ts';
import { throwIfAborted } from '../../internal/sleep.ts';
import { askDecision, forgetDecision, strikeParts } from './decision.ts';
import { endPart } from './end-part.ts';
import { type AtomicPart, PART_PREFIX, parsePartName, partName } from './part-name.ts';

/** A part of an atomic write that was found prepared, its writer being dead, cut off or slow. */
export interface InDoubt extends AtomicPart {
  readonly server: string;
  /** `open`: left alone, since its writer may still decide; `failed`: it could not be asked or ended. */
  readonly outcome: 'committed' | 'rolled back' | 'open' | 'failed';
  /** Of `failed`. */
  readonly error: unknown;
}

/**
 * Ends the parts that writers have left prepared for longer than `afterMs`: committed when their write was decided, rolled
 * back when it never will be. May run anywhere, in many processes at once, and while writers live: it does what they would.
 * A server that can't be reached is told as `failed` and hinders no other.
 */
export async function recover(
  db: Datastore,
  { afterMs, signal }: { afterMs: number; signal?: AbortSignal | undefined },
): Promise<InDoubt[]> {
  const found = await Promise.all(
    db.map.servers.map(async ({ name: server, ranges }): Promise<InDoubt[]> => {
      const at = ranges[0]?.from;
      if (at === undefined) return [];
      try {
        const parts = await partsOn(db, at, afterMs, signal);
        const ended: InDoubt[] = [];
        for (const part of parts) ended.push({ server, ...part, ...(await endByDecision(db, at, part, signal)) });
        return ended;
      } catch (error) {
        throwIfAborted(signal, 'recovering atomic writes');
        return [{ server, id: '', coordinator: at, shardId: at, outcome: 'failed', error }];
      }
    }),
  );
  const all = found.flat();
  // A decision goes when the last part of its write has: whoever finds none rolls back.
  const done = new Map(all.filter(({ outcome }) => outcome === 'committed').map((one) => [one.id, one]));
  for (const one of done.values()) {
    // What stays is a row that says the truth; the next recovery, or sweep, takes it.
    await forgetDecision(db, one, signal).catch(() => {});
  }
  return all;
}

async function endByDecision(
  db: Datastore,
  at: number,
  part: AtomicPart,
  signal: AbortSignal | undefined,
): Promise<Pick<InDoubt, 'outcome' | 'error'>> {
  try {
    const decision = await askDecision(db, part, signal);
    if (decision === 'open') return { outcome: 'open', error: undefined };
    const ended = await endPart(db, at, decision === 'done' ? 'commit' : 'rollback', partName(part), signal);
    // Who does not find it any more must know that it was not lost.
    if (decision === 'done' && ended) await strikeParts(db, part, [part.shardId], signal).catch(() => {});
    return { outcome: decision === 'done' ? 'committed' : 'rolled back', error: undefined };
  } catch (error) {
    throwIfAborted(signal, 'recovering atomic writes');
    return { outcome: 'failed', error };
  }
}

async function partsOn(
  db: Datastore,
  shardId: number,
  afterMs: number,
  signal: AbortSignal | undefined,
): Promise<AtomicPart[]> {
  const { rows } = await db.withCursor(
    shardId,
    (cursor) =>
      cursor.query<{ gid: string }>(
        `select gid
         from pg_catalog.pg_prepared_xacts
         where database = current_database()
           and starts_with(gid, $1)
           and prepared < clock_timestamp() - make_interval(secs => $2)`,
        [PART_PREFIX, afterMs / 1_000],
      ),
    { signal },
  );
  return rows.flatMap(({ gid }) => parsePartName(gid) ?? []);
}
