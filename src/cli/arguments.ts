import { createInterface } from 'node:readline';
import type { CliContext } from './context.ts';
import { UsageError } from './usage-error.ts';

/** A whole number from `least` to `most`, for commander's arguments and options. */
export function wholeNumber(name: string, least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    const bounds = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
    throw new UsageError(`${name}: ${JSON.stringify(text)} is not a whole number ${bounds}`);
  };
}

const TIME = /^(\d{4}(?:-\d\d(?:-\d\d)?)?)(?:(T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|[+-]\d\d:?\d\d)?)?$/i;

/** A time: ISO 8601, taken as UTC where it names no zone, or `now`. */
export function time(name: string): (text: string) => Date {
  return (text) => {
    if (text === 'now') return new Date();
    const [, day, clock, zone = 'Z'] = TIME.exec(text.replace(' ', 'T')) ?? [];
    const date = new Date(clock === undefined ? (day ?? Number.NaN) : `${day}${clock}${zone}`);
    // Date takes 30 February for 1 March.
    const real = day !== undefined && new Date(day).toJSON()?.startsWith(day);
    if (real && !Number.isNaN(date.getTime())) return date;
    throw new UsageError(`${name}: ${JSON.stringify(text)} is no time; write 2024-01-31 or 2024-01-31T12:00:00Z (UTC)`);
  };
}

/** What ids count from: a time, or ms since 1970. */
export function epoch(text: string): number {
  return /^\d+$/.test(text) && text.length > 4 ? wholeNumber('--epoch', 0)(text) : time('--epoch')(text).getTime();
}

/** The arguments, or the words on stdin when there are none or a single `-`. */
export async function* wordsFrom(
  given: readonly string[],
  what: string,
  { stdin, signal }: Pick<CliContext, 'stdin' | 'signal'>,
): AsyncGenerator<string> {
  if (given.length > 0 && !(given.length === 1 && given[0] === '-')) {
    yield* given;
    return;
  }
  if (given.length === 0 && stdin.isTTY) throw new UsageError(`give ${what}, as arguments or on standard input`);
  for await (const line of createInterface({ input: stdin, signal })) {
    for (const word of line.split(/[\s,]+/)) if (word !== '') yield word;
  }
}
