import { getChanges, getRevision, postCommits } from './commits-routes.ts';
import type { Exchange } from './exchange.ts';
import { getDiff, getHistory, postRollback, postRollbackPrefix } from './history-routes.ts';
import { listHeads } from './list-route.ts';
import { getPage } from './page-route.ts';
import { getHead, getHeadMeta, getVersion, getVersionMeta } from './read-routes.ts';
import { postVersion } from './save-route.ts';
import { getWatch } from './watch-route.ts';
import { getWhoAmI } from './who-am-i-route.ts';

export type Handler = (exchange: Exchange) => Promise<void>;

/** What one path answers to. GET implies HEAD. */
export interface Route {
  readonly methods: Readonly<Partial<Record<'GET' | 'POST', Handler>>>;
  /** Whether a mirror answers it, and the answer says so. */
  readonly mirrored: boolean;
  /** Whether the first name of the path is no key. @default false */
  readonly keyless?: boolean | undefined;
  /** Whether it holds no data and needs no token. @default false */
  readonly open?: boolean | undefined;
}

const LIST: Route = { methods: { GET: listHeads }, mirrored: true };
const HEAD: Route = { methods: { GET: getHead }, mirrored: true };
const HEAD_META: Route = { methods: { GET: getHeadMeta }, mirrored: true };
const VERSION: Route = { methods: { GET: getVersion, POST: postVersion }, mirrored: false };
const VERSION_META: Route = { methods: { GET: getVersionMeta }, mirrored: false };

const PAGE: Route = { methods: { GET: getPage }, mirrored: false, keyless: true, open: true };

/** What a key has beside its versions. None of these names is a number, and so none was a path of the original's. */
const OF_KEY: Readonly<Record<string, Route>> = {
  meta: HEAD_META,
  history: { methods: { GET: getHistory }, mirrored: false },
  diff: { methods: { GET: getDiff }, mirrored: false },
  rollback: { methods: { POST: postRollback }, mirrored: false },
};

/** What belongs to no key stands under `-`, by names that a key called `-` does not use. */
const OF_ALL: Readonly<Record<string, Route>> = {
  page: PAGE,
  'who-am-i': { methods: { GET: getWhoAmI }, mirrored: false, keyless: true },
  watch: { methods: { GET: getWatch }, mirrored: false, keyless: true },
  changes: { methods: { GET: getChanges }, mirrored: false, keyless: true },
  revision: { methods: { GET: getRevision }, mirrored: false, keyless: true },
  commits: { methods: { POST: postCommits }, mirrored: false, keyless: true },
  'rollback-prefix': { methods: { POST: postRollbackPrefix }, mirrored: false, keyless: true },
};

/** Finds the route of a path. */
export function findRoute(segments: readonly string[]): Route | undefined {
  if (segments.includes('')) return undefined;
  const [first, second = ''] = segments;
  switch (segments.length) {
    case 0:
      return LIST;
    case 1:
      return HEAD;
    case 2:
      return (first === '-' ? own(OF_ALL, second) : undefined) ?? own(OF_KEY, second) ?? VERSION;
    case 3:
      if (first === '-' && second === 'page') return PAGE;
      return segments[2] === 'meta' ? VERSION_META : undefined;
    default:
      return undefined;
  }
}

function own(routes: Readonly<Record<string, Route>>, name: string): Route | undefined {
  return Object.hasOwn(routes, name) ? routes[name] : undefined;
}
