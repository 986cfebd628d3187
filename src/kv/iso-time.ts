import { CommitFormatError } from './errors.ts';

const TIME = String.raw`(\d{2})(?:[.,](\d+)|:(\d{2})(?:[.,](\d+)|:(\d{2})(?:[.,](\d+))?)?)?`;
const OFFSET = String.raw`(Z|[+-]\d{2}(?::?\d{2}(?::?\d{2})?)?)`;
const DATE = String.raw`(\d{4})(?:-W(\d{2})(?:-([1-7]))?|-(\d{3})|-(\d{2})(?:-(\d{2}))?)?`;

const DATE_OPTIONAL_TIME = new RegExp(`^${DATE}(?:T(?:${TIME})?${OFFSET}?)?$`);
const TIME_ALONE = new RegExp(`^T${TIME}${OFFSET}?$`);

const DAY_MS = 86_400_000;

/**
 * Reads the ISO 8601 forms that Joda-Time's parser takes, as Rainer did: a date (calendar, ordinal or week), a time
 * of any precision with fractions on its last field, an offset; each part after the year may be missing.
 * Without an offset the time is UTC (Rainer took the zone of its server). Digits below the millisecond are cut.
 *
 * @throws CommitFormatError
 *
 * @example
 * ```ts
 * parseIsoTime('2014-02-11T14:01:28.839-08:00').toISOString();   // '2014-02-11T22:01:28.839Z'
 * parseIsoTime('2014-02-11');                                      // midnight, UTC
 * ```
 */
export function parseIsoTime(text: string): Date {
  const whole = DATE_OPTIONAL_TIME.exec(text);
  const groups = whole ?? TIME_ALONE.exec(text);
  if (groups === null) throw malformed(text);
  const day = whole === null ? 0 : dayMs(text, whole.slice(1, 7));
  const [time, offset] = whole === null ? [groups.slice(1, 7), groups[7]] : [groups.slice(7, 13), groups[13]];
  const date = new Date(day + timeMs(text, time) - offsetMs(text, offset));
  if (Number.isNaN(date.getTime())) throw malformed(text);
  return date;
}

type Field = string | undefined;

function dayMs(text: string, [year, week, weekday, ordinal, month, day]: readonly Field[]): number {
  const y = Number(year);
  if (week !== undefined) {
    // ISO week 1 holds 4 January; weeks begin on Monday.
    const fourth = utcDay(y, 0, 4);
    const monday = fourth - ((new Date(fourth).getUTCDay() + 6) % 7) * DAY_MS;
    const result = monday + ((Number(week) - 1) * 7 + Number(weekday ?? 1) - 1) * DAY_MS;
    const thursday = new Date(monday + ((Number(week) - 1) * 7 + 3) * DAY_MS);
    if (Number(week) < 1 || thursday.getUTCFullYear() !== y) throw malformed(text);
    return result;
  }
  const m = Number(month ?? 1) - 1;
  const d = Number(ordinal ?? day ?? 1);
  const result = ordinal === undefined ? utcDay(y, m, d) : utcDay(y, 0, d);
  const check = new Date(result);
  const fits = ordinal === undefined ? check.getUTCMonth() === m && check.getUTCDate() === d : d >= 1;
  if (!fits || check.getUTCFullYear() !== y) throw malformed(text);
  return result;
}

/** Date.UTC reads the years 0–99 as 1900–1999; this does not. */
function utcDay(year: number, month: number, day: number): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  return date.getTime();
}

function timeMs(text: string, [hour, hourPart, minute, minutePart, second, secondPart]: readonly Field[]): number {
  const h = Number(hour ?? 0);
  const m = Number(minute ?? 0);
  const s = Number(second ?? 0);
  if (h > 23 || m > 59 || s > 59) throw malformed(text);
  const part =
    fraction(hourPart) * 3_600_000 + fraction(minutePart) * 60_000 + fraction(secondPart?.slice(0, 3)) * 1_000;
  return h * 3_600_000 + m * 60_000 + s * 1_000 + Math.trunc(part + 1e-6);
}

function fraction(digits: Field): number {
  return digits === undefined ? 0 : Number(`0.${digits}`);
}

function offsetMs(text: string, offset: Field): number {
  if (offset === undefined || offset === 'Z') return 0;
  const [hours, minutes = 0, seconds = 0] = offset.match(/\d{2}/g)!.map(Number) as [number, number?, number?];
  if (hours > 23 || minutes > 59 || seconds > 59) throw malformed(text);
  const size = hours * 3_600_000 + minutes * 60_000 + seconds * 1_000;
  return offset.startsWith('-') ? -size : size;
}

function malformed(text: string): CommitFormatError {
  const shown = text.length > 64 ? `${text.slice(0, 64)}…` : text;
  return new CommitFormatError(`${JSON.stringify(shown)} is no ISO 8601 date and time`);
}
