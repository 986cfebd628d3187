const UNITS = [
  ['year', 365.25 * 24 * 3_600_000],
  ['month', 30.4375 * 24 * 3_600_000],
  ['day', 24 * 3_600_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1_000],
] as const;

/**
 * A duration as people say it: `11 years`, `3 minutes`; a time to come is `in 3 minutes`.
 */
export function ageText(ageMs: number): string {
  const [unit, ms] = UNITS.find(([, length]) => Math.abs(ageMs) >= length) ?? UNITS[UNITS.length - 1]!;
  const count = Math.floor(Math.abs(ageMs) / ms);
  const text = `${count} ${unit}${count === 1 ? '' : 's'}`;
  return ageMs < 0 ? `in ${text}` : `${text} ago`;
}
