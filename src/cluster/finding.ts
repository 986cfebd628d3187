import type { PreparedReport } from './atomic/in-doubt.ts';
import type { TraceKind } from './move/traces.ts';

/** Something that was left behind, or is not over. */
export interface JanitorFinding {
  readonly server: string;
  /**
   * What a move has left, a `move` that is not over, a `part` of an atomic write, `decisions` that no part needs, a
   * transaction that somebody else `prepared`, or a `server` that could not be looked at.
   */
  readonly kind: TraceKind | 'move' | 'part' | 'decisions' | 'prepared' | 'server';
  readonly name: string;
  /** Why it is left alone, or what to do about it; `undefined` for what is removed, or may be. */
  readonly kept: string | undefined;
  readonly removed: boolean;
  /** How it ends: by being removed, or as the decision of its atomic write says. */
  readonly how: 'removed' | 'committed' | 'rolled back';
  /** It was to be looked at, or to be removed, and that failed: `kept` says why. */
  readonly failed: boolean;
  /** Of prepared transactions: role, database, age and decision. */
  readonly prepared?: PreparedReport | undefined;
}
