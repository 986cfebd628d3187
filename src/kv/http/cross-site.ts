import type { IncomingMessage } from 'node:http';
import { Refusal } from './refusal.ts';

/**
 * Refuses what a browser sends on behalf of a page of another origin: without tokens, any page its user looks at could
 * write here. Browsers say so by `Sec-Fetch-Site`, older ones by `Origin`; other clients send neither.
 *
 * @throws Refusal 403
 */
export function refuseOtherSites({ headers }: IncomingMessage): void {
  const site = headers['sec-fetch-site'];
  if (site === 'same-origin' || site === 'none') return;
  if (site === undefined && (headers.origin === undefined || sameHost(headers.origin, headers.host))) return;
  throw new Refusal(403, 'Not allowed from a page of another origin');
}

function sameHost(origin: string, host: string | undefined): boolean {
  return URL.canParse(origin) && new URL(origin).host === host?.toLowerCase();
}
