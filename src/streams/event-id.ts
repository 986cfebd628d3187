import { randomUUID } from 'node:crypto';

let madeAt = 0;
let time = '';

/**
 * A UUID that nobody else makes and that grows with time (version 7, RFC 9562): 48 bits of the clock in ms, 74 at random.
 * Growing ones come to the end of the index of event ids, which costs about half of what a place at random does.
 */
export function newEventId(): string {
  const now = Date.now();
  if (now !== madeAt) {
    const digits = now.toString(16).padStart(12, '0');
    madeAt = now;
    time = `${digits.slice(0, 8)}-${digits.slice(8)}-7`;
  }
  // Behind the version's digit a random UUID is as it should be.
  return time + randomUUID().slice(15);
}
