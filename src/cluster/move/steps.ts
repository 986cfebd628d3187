/**
 * The steps of a move, in their order. Every step writes its intent into the journal, acts, and writes that it is done;
 * each may be done again without harm.
 *
 * ```
 *  preflight ─ freeze ─ skeleton ─ publish ─ copy ─ build ─ verify ─ gate ─ pause ─ fence ┃ flip ─ open ─ wayback ─ cleanup
 *  └────────────── crash: resume or abort; the source owns the shard ──────────────────┘ ┃ └─ crash: resume, forward ┘
 *                                                          the fence is committed: point of no return
 * ```
 *
 * 1. A shard has one owner, or for the moments from fence to flip none: never two.
 * 2. What decides after a crash is the fence on the source, not the journal.
 * 3. The copy on the other side is fenced from its first moment until the flip, and the one left behind for ever after.
 * 4. A schema is dropped only when its own owner row says that it is not the shard.
 */
export const MOVE_STEPS = [
  'preflight',
  'freeze',
  'skeleton',
  'publish',
  'copy',
  'build',
  'verify',
  'gate',
  'pause',
  'fence',
  'flip',
  'open',
  'wayback',
  'cleanup',
] as const;

/** One step of a move. */
export type MoveStep = (typeof MOVE_STEPS)[number];

/** Where a step is: its intent is written; what it does is done and not yet written. */
export type StepPhase = 'begun' | 'acted';

/** Where a move is: before or in the flip; flipped, with a way back; on the way back; over, in one of three ways. */
export type MoveState = 'moving' | 'moved' | 'reverting' | 'finished' | 'reverted' | 'aborted';
