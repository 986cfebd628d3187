// Callers that ask again as soon as they have their answer, and what they saw.
import { median, rounded } from './result.ts';

/** One way to do the work: called by every caller, 0 and up, again and again. */
export type Work = (caller: number) => Promise<unknown>;

export interface Seen {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Runs `callers` callers for a time. Answers that come after its end don't count. */
export async function load(
  work: Work,
  { callers, durationMs }: { callers: number; durationMs: number },
): Promise<Seen> {
  const took: number[] = [];
  const start = performance.now();
  const end = start + durationMs;
  const caller = async (index: number): Promise<void> => {
    for (let from = performance.now(); from < end; ) {
      await work(index);
      const now = performance.now();
      if (now <= end) took.push(now - from);
      from = now;
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, index) => caller(index)));
  took.sort((a, b) => a - b);
  const at = (share: number): number => took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? Number.NaN;
  return { perSecond: (took.length * 1_000) / durationMs, p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** Each rival warms up, then they take turns, so that a slow moment of the machine hits all; medians of their turns. */
export async function takeTurns(
  rivals: Readonly<Record<string, (turn: { durationMs: number }) => Promise<Seen>>>,
  { turns = 3, durationMs = 700, warmUpMs = 300 }: { turns?: number; durationMs?: number; warmUpMs?: number } = {},
): Promise<Record<string, Seen>> {
  const seen = new Map<string, Seen[]>(Object.keys(rivals).map((name) => [name, []]));
  for (const run of Object.values(rivals)) await run({ durationMs: warmUpMs });
  for (let turn = 0; turn < turns; turn++) {
    for (const [name, run] of Object.entries(rivals)) seen.get(name)!.push(await run({ durationMs }));
  }
  const middle = (all: Seen[], field: keyof Seen): number => rounded(median(all.map((one) => one[field])));
  return Object.fromEntries(
    [...seen].map(([name, all]) => [
      name,
      { perSecond: middle(all, 'perSecond'), p50Ms: middle(all, 'p50Ms'), p99Ms: middle(all, 'p99Ms') },
    ]),
  );
}

/** The fields of a result line: ours apart from the rivals. */
export function figures(seen: Readonly<Record<string, Seen>>): {
  unit: string;
  ours: number;
  rivals: Record<string, number>;
  p50Ms: Record<string, number>;
  p99Ms: Record<string, number>;
} {
  const of = (field: keyof Seen): Record<string, number> =>
    Object.fromEntries(Object.entries(seen).map(([name, one]) => [name, one[field]]));
  const { ours, ...rivals } = of('perSecond');
  return { unit: 'ops/s', ours: ours!, rivals, p50Ms: of('p50Ms'), p99Ms: of('p99Ms') };
}
