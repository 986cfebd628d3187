import { rounded } from './result.ts';

const ROUNDS = 5;

/**
 * How often a second of processor time the work is done; the best of a few rounds. Processor time and not the clock's:
 * for work that waits for nothing it is the same on an idle machine, and the neighbours of a busy one don't count.
 */
export function cpuRate(count: number, work: (index: number) => unknown): number {
  let best = 0;
  let made = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.cpuUsage();
    for (let index = 0; index < count; index++) if (work(index) !== undefined) made += 1;
    const { user, system } = process.cpuUsage(start);
    best = Math.max(best, (count * 1_000_000) / (user + system));
  }
  if (made !== count * ROUNDS) throw new Error('the work was not done');
  return rounded(best);
}
