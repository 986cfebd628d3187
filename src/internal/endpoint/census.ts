import { setTimeout as delay } from 'node:timers/promises';
import { destroyClient } from '../client-guard.ts';
import { linkSignals } from '../link-signals.ts';
import { type Answered, askHost, type HostReport } from './host-report.ts';
import type { ResolvedSettings } from './resolve.ts';
import type { SessionHooks } from './session.ts';

/**
 * How long the other hosts are waited for once one has given a good answer. A living host answers or refuses within
 * a few round trips; only a dead machine stays silent, and it must not hold up a failover until its time-out.
 */
const GRACE_MS = 150;

export interface CensusOptions {
  /** An answer as good as any that may follow. */
  readonly isGood: (report: HostReport) => boolean;
  readonly signal: AbortSignal;
  readonly hooks: SessionHooks;
}

/**
 * Asks all hosts at the same time who they are. Ends when all have answered, or {@link GRACE_MS} after the first
 * answer for which `isGood` holds; hosts silent until then are missing from the result.
 * The sessions of the answers are open.
 */
export async function takeCensus(
  settings: ResolvedSettings,
  { isGood, signal, hooks }: CensusOptions,
): Promise<readonly Answered[]> {
  const enough = new AbortController();
  using either = linkSignals([signal, enough.signal]);
  const stop = either.signal;
  const answers: Answered[] = [];
  let onGood = (): void => {};
  const good = new Promise<void>((resolve) => {
    onGood = resolve;
  });
  const all = settings.hosts.map(async (host) => {
    const answer = await askHost(settings, host, { signal: stop, hooks });
    if (enough.signal.aborted) {
      if (answer.session) destroyClient(answer.session);
      return;
    }
    answers.push(answer);
    if (isGood(answer.report)) onGood();
  });
  const grace = good.then(() => delay(GRACE_MS, undefined, { signal: stop, ref: false })).catch(() => {});
  await Promise.race([Promise.all(all), grace]);
  enough.abort();
  return answers;
}
