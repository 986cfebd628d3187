/** A moment, by the clock that never jumps and by the one that goes on while the machine sleeps. */
export interface Moment {
  readonly monotonic: number;
  readonly wall: number;
}

export function now(): Moment {
  return { monotonic: performance.now(), wall: Date.now() };
}

/**
 * Milliseconds since then, by whichever clock says more: the monotonic one stands still while a machine is suspended,
 * the wall clock may be set back.
 */
export function elapsedSince(then: Moment): number {
  return Math.max(performance.now() - then.monotonic, Date.now() - then.wall);
}
