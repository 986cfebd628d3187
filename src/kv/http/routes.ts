import type { Exchange } from './exchange.ts';
import { listHeads } from './list-route.ts';
import { getHead, getHeadMeta, getVersion, getVersionMeta } from './read-routes.ts';
import { postVersion } from './save-route.ts';

export type Handler = (exchange: Exchange) => Promise<void>;

/** What one path answers to. GET implies HEAD. */
export interface Route {
  readonly methods: Readonly<Partial<Record<'GET' | 'POST', Handler>>>;
  /** Whether a mirror answers it, and the answer says so. */
  readonly mirrored: boolean;
}

const LIST: Route = { methods: { GET: listHeads }, mirrored: true };
const HEAD: Route = { methods: { GET: getHead }, mirrored: true };
const HEAD_META: Route = { methods: { GET: getHeadMeta }, mirrored: true };
const VERSION: Route = { methods: { GET: getVersion, POST: postVersion }, mirrored: false };
const VERSION_META: Route = { methods: { GET: getVersionMeta }, mirrored: false };

/**
 * Finds the route of a path. The names `meta` and our own come before VERSION, which is a number in every valid
 * request, so nothing of the original's paths is taken away.
 */
export function findRoute(segments: readonly string[]): Route | undefined {
  if (segments.includes('')) return undefined;
  switch (segments.length) {
    case 0:
      return LIST;
    case 1:
      return HEAD;
    case 2:
      return segments[1] === 'meta' ? HEAD_META : VERSION;
    case 3:
      return segments[2] === 'meta' ? VERSION_META : undefined;
    default:
      return undefined;
  }
}
