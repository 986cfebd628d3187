/** One case of a question, as it is printed behind the word RESULT. */
export interface Result {
  readonly bench: string;
  readonly unit: string;
  readonly ours: number;
  /** The same work done by others, in the same run and in the same unit. */
  readonly rivals?: Record<string, number>;
  /** What tells this case from the others of its question, and further figures. */
  readonly [field: string]: unknown;
}

/** The middle one, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** The value that this share of them does not pass. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

export function spread(values: readonly number[]): Record<'p50' | 'p95' | 'p99' | 'max', number> {
  const of = (share: number): number => rounded(percentile(values, share));
  return { p50: rounded(median(values)), p95: of(0.95), p99: of(0.99), max: of(1) };
}

/** Three digits tell enough; more would pretend. */
export function rounded(value: number): number {
  return Number(value.toPrecision(3));
}
