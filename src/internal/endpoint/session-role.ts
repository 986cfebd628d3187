import type pg from 'pg';
import { askSession } from './host-report.ts';
import type { ResolvedSettings } from './resolve.ts';
import { factsOf } from './session.ts';
import { withinLimit } from './waiting.ts';

/**
 * Whether a session's server has the role that is asked for: by what it reported of its own, else by a query.
 *
 * @param options.pooled - a pooler hands out the reports of whichever server session it opened first, so it is asked
 */
export async function hasRole(
  client: pg.Client,
  { targetRole, connectTimeoutMs }: ResolvedSettings,
  { pooled }: { pooled: boolean },
): Promise<boolean> {
  if (targetRole === 'any' || targetRole === 'prefer-standby') return true;
  const { host, inHotStandby } = factsOf(client)!;
  if (inHotStandby !== undefined && !pooled) return inHotStandby === (targetRole === 'standby');
  const { role } = await withinLimit(client, connectTimeoutMs, () => askSession(client, host));
  return role === targetRole;
}
