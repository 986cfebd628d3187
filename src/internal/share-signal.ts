import { setMaxListeners } from 'node:events';

/**
 * Lets one signal stop any number of calls at once: from the eleventh listener on Node would warn of a leak. Each call
 * takes its listener away when it ends, so there is none.
 */
export function shareSignal(signal: AbortSignal | undefined): void {
  if (signal !== undefined) setMaxListeners(0, signal);
}
