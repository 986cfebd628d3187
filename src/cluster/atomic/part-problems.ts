import type { PreparedReport } from './in-doubt.ts';

/** What can be wrong with a part of an atomic write that is prepared, or was. */
export type PartProblemKind = 'part-left' | 'part-elsewhere' | 'part-unmapped' | 'part-lost';

/** One part that will not end by itself, or is gone, and what to do about it. */
export interface PartProblem {
  readonly kind: PartProblemKind;
  /** The shard that was written to. */
  readonly shardId: number;
  /** Where the part is prepared, or should be. */
  readonly server: string;
  /** A sentence with the remedy. */
  readonly message: string;
}

const KNOWN = {
  decided: 'the write is done, so the part is to be committed',
  undecided: 'the write was never decided, so the part is to be rolled back',
  unknown: 'whether the write is done could not be asked',
} as const;

/**
 * Parts that nobody ends although they are old, and those that nobody can end.
 *
 * @param serverOf - the server that has a shard by the map
 */
export function partProblems(
  prepared: readonly PreparedReport[],
  serverOf: (shardId: number) => string | undefined,
  afterMs: number,
): PartProblem[] {
  return prepared.flatMap(({ server, part, name, role, ageMs, decision }): PartProblem[] => {
    if (part === undefined) return [];
    const { shardId, coordinator } = part;
    const what = `${server} has a part of an atomic write prepared for shard ${shardId}, ${name}`;
    const home = serverOf(shardId);
    if (serverOf(coordinator) === undefined) {
      const message = `${what}: the map does not know shard ${coordinator}, which would know whether it is done; look with hypervault map history, then end the part by hand`;
      return [{ kind: 'part-unmapped', shardId, server, message }];
    }
    if (home !== server) {
      const message = `${what}, but ${home === undefined ? 'the map does not know that shard' : `the shard is on ${home}`}, as after a restore from an old backup; look at the shard, then end the part by hand`;
      return [{ kind: 'part-elsewhere', shardId, server, message }];
    }
    if (ageMs < afterMs) return [];
    const message = `${what}, for ${Math.round(ageMs / 1_000)} s: ${KNOWN[decision ?? 'unknown']}; run hypervault janitor --remove as ${role} or a superuser`;
    return [{ kind: 'part-left', shardId, server, message }];
  });
}
