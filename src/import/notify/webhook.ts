import type { NoticeTarget } from './notifier.ts';
import { postJson } from './post-json.ts';

/** Posts each notice as it is, as JSON. @param url - may hold a secret; it is shown nowhere */
export function webhook(url: string): NoticeTarget {
  return (notice) => postJson('the webhook', url, { ...notice, at: new Date().toISOString() });
}
