import { sleep } from '../internal/sleep.ts';

/** A file event comes a few ms before the role flips, so the role is looked at more than once, over a second and a half. */
const PAUSES_MS = [0, 5, 10, 25, 50, 100, 200, 400, 800];

/** Looks again at short steps until it is `done`. */
export async function recheck(look: () => Promise<void>, done: () => boolean): Promise<void> {
  for (const pause of PAUSES_MS) {
    await sleep(pause, { unref: true });
    if (done()) return;
    await look();
  }
}
