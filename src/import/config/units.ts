import { ConfigurationError } from '../../errors.ts';

const SIZES: Record<string, number> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** `"300M"` in bytes; the letters are k, M and G, as pg_chameleon has them. */
export function parseSize(value: string | number, where: string): number {
  const match = /^(\d+)\s*([kmg]?)b?$/i.exec(String(value).trim());
  if (match === null) throw new ConfigurationError(`${where}: ${JSON.stringify(value)} is not a size; write "300M"`);
  return Number(match[1]) * SIZES[match[2]!.toLowerCase()]!;
}

const DURATIONS: Record<string, number> = {
  ms: 1,
  s: 1_000,
  sec: 1_000,
  second: 1_000,
  min: 60_000,
  minute: 60_000,
  h: 3_600_000,
  hour: 3_600_000,
  d: 86_400_000,
  day: 86_400_000,
  week: 604_800_000,
};

/** `"120s"`, `"1 day"`, `"2 hours"` in ms; a bare number counts `unitMs`. */
export function parseDuration(value: string | number, where: string, unitMs: number): number {
  if (typeof value === 'number') return value * unitMs;
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(value.trim());
  const unit =
    match === null ? undefined : match[2] === '' ? unitMs : DURATIONS[match[2]!.toLowerCase().replace(/s$/, '') || 's'];
  if (match === null || unit === undefined) {
    throw new ConfigurationError(`${where}: ${JSON.stringify(value)} is not a duration; write "120s" or "1 day"`);
  }
  return Number(match[1]) * unit;
}
