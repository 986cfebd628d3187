import { UsageError } from './usage-error.ts';

/** `--timeout` in seconds as the option of a method. */
export function withSeconds(text: string | undefined): { readonly timeoutMs?: number } {
  if (text === undefined) return {};
  const seconds = Number(text);
  if (!(seconds > 0)) throw new UsageError(`--timeout: ${text} is not a number of seconds above 0`);
  return { timeoutMs: seconds * 1_000 };
}
