import { InvalidArgumentError } from '../errors.ts';
import { MAX_IDENTIFIER_BYTES, quoteIdentifier } from '../internal/quote.ts';

/** Longest payload Postgres takes, in bytes; one more and it fails the writer's transaction (22023). */
export const MAX_PAYLOAD_BYTES = 7_999;

/**
 * Checks a channel's name before anything is sent: `LISTEN` would cut a longer one in silence and then hear nothing,
 * `pg_notify` would fail the transaction.
 *
 * @throws InvalidArgumentError
 */
export function checkChannel(channel: string): void {
  if (typeof channel !== 'string') throw new InvalidArgumentError('channel: give its name as a text');
  if (channel === '') throw new InvalidArgumentError('channel: the name may not be empty');
  if (channel.includes('\0')) throw new InvalidArgumentError('channel: the name may not hold a NUL character');
  if (/\p{Surrogate}/u.test(channel))
    throw new InvalidArgumentError('channel: the name holds half of a surrogate pair');
  const bytes = Buffer.byteLength(channel);
  if (bytes > MAX_IDENTIFIER_BYTES) {
    throw new InvalidArgumentError(`channel: the name has ${bytes} bytes, Postgres takes ${MAX_IDENTIFIER_BYTES}`);
  }
}

/** `LISTEN` for each channel; the names are quoted, so that upper case and odd characters mean themselves. */
export function listenStatement(channels: Iterable<string>): string {
  return Array.from(channels, (channel) => `listen ${quoteIdentifier(channel)}`).join('; ');
}

export function unlistenStatement(channel: string): string {
  return `unlisten ${quoteIdentifier(channel)}`;
}
