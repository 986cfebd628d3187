import { setTimeout as delay } from 'node:timers/promises';
import { linkSignals } from '../link-signals.ts';
import { askHost, type HostReport } from './host-report.ts';
import type { ResolvedSettings } from './resolve.ts';

/**
 * How long the other hosts are waited for once one has given a good answer. A living host answers or refuses within
 * a few round trips; only a dead machine stays silent, and it must not hold up a failover until its time-out.
 */
const GRACE_MS = 150;

/**
 * Asks all hosts at the same time who they are. Ends when all have answered, or {@link GRACE_MS} after the first
 * answer for which `isGood` holds; hosts silent until then are missing from the result.
 */
export async function takeCensus(
  settings: ResolvedSettings,
  isGood: (report: HostReport) => boolean,
  signal?: AbortSignal,
): Promise<readonly HostReport[]> {
  const enough = new AbortController();
  using either = linkSignals([signal, enough.signal]);
  const stop = either.signal;
  const reports: HostReport[] = [];
  let onGood = (): void => {};
  const good = new Promise<void>((resolve) => {
    onGood = resolve;
  });
  const all = settings.hosts.map(async (host) => {
    const report = await askHost(settings, host, stop);
    if (enough.signal.aborted) return;
    reports.push(report);
    if (isGood(report)) onGood();
  });
  const grace = good.then(() => delay(GRACE_MS, undefined, { signal: stop, ref: false })).catch(() => {});
  await Promise.race([Promise.all(all), grace]);
  enough.abort();
  return reports;
}
