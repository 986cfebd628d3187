import { setMaxListeners } from 'node:events';

/** Ends everything that waits on it, however many that are: Node would warn of a leak at eleven. */
export function stopController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}
