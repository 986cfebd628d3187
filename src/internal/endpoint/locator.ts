import type pg from 'pg';
import { type HypervaultError, ServerUnavailableError } from '../../errors.ts';
import { abortable } from '../abortable.ts';
import { endClient } from '../client-guard.ts';
import { TypedEmitter } from '../typed-emitter.ts';
import { takeCensus } from './census.ts';
import { chooseHost, type Fence, isLeftBehind } from './choose-host.ts';
import { connectionError, reasonOf } from './connection-error.ts';
import type { Answered, HostReport } from './host-report.ts';
import type { HostAddress } from './hosts.ts';
import type { ResolvedSettings } from './resolve.ts';
import type { SessionHooks } from './session.ts';
import { SpareSession } from './spare-session.ts';

export type LocatorEvents = {
  /** Another host has the wanted role now. `from` is undefined the first time. */
  moved: { readonly from: string | undefined; readonly to: string };
  /** Two hosts say that they are the primary; the one with the newer timeline is used. */
  splitBrain: {
    readonly primaries: readonly { host: string; timeline: number | undefined }[];
    readonly chosen: string;
  };
};

/**
 * Remembers which host has the wanted role and finds it again when that is in doubt.
 *
 * 1. The answer comes from the hosts themselves, all asked at the same time; never from a name or an order.
 * 2. Many who ask at once share one census.
 * 3. A primary is never exchanged for one with an older timeline of the same cluster.
 */
export class Locator extends TypedEmitter<LocatorEvents> {
  readonly #settings: ResolvedSettings;
  readonly #closing = new AbortController();
  #current: HostReport | undefined;
  #confirmedAt = Number.NEGATIVE_INFINITY;
  #doubtful = true;
  #fence: Fence | undefined;
  #search: Promise<HostReport> | undefined;
  #lastReports: readonly HostReport[] = [];

  readonly #hooks: SessionHooks;
  readonly #spare = new SpareSession();
  #sessionWanted = false;

  constructor(settings: ResolvedSettings, hooks: SessionHooks) {
    super();
    this.#settings = settings;
    this.#hooks = hooks;
  }

  /** What the host in use said of itself when it was last asked. */
  get current(): HostReport | undefined {
    return this.#current;
  }

  /** What the hosts said in the last round; those that were too slow are missing. */
  get lastReports(): readonly HostReport[] {
    return this.#lastReports;
  }

  /** When the host in use was last asked, by `performance.now()`. */
  get confirmedAt(): number {
    return this.#confirmedAt;
  }

  /** Whether the host in use has to be asked again before it is used. */
  get doubtful(): boolean {
    return this.#doubtful;
  }

  doubt(): void {
    this.#doubtful = true;
  }

  /**
   * Asks all hosts; concurrent callers share one round. Rejects when none has the role. The signal ends only the
   * caller's own waiting.
   */
  locate({
    signal,
    session = false,
  }: {
    signal?: AbortSignal | undefined;
    /** Keeps the session over which the host was asked, for {@link takeSession}. */
    session?: boolean;
  } = {}): Promise<HostReport> {
    if (session) this.#sessionWanted = true;
    this.#search ??= this.#askAround().finally(() => {
      this.#search = undefined;
    });
    return abortable(this.#search, signal, 'looking for the server');
  }

  /** The session that was kept for the first who asks. */
  takeSession(host: HostAddress): pg.Client | undefined {
    return this.#spare.take(host.label);
  }

  close(): void {
    this.#closing.abort();
    this.#spare.drop();
  }

  async #askAround(): Promise<HostReport> {
    const { targetRole } = this.#settings;
    const fits = (report: HostReport): boolean => this.#choose([report]) !== undefined && wanted(report, targetRole);
    const { signal } = this.#closing;
    const answers = await takeCensus(this.#settings, { isGood: fits, signal, hooks: this.#hooks });
    const reports = answers.map(({ report }) => report);
    this.#lastReports = reports;
    const chosen = this.#choose(reports);
    this.#endSessions(answers, chosen);
    if (!chosen) throw this.#nobody(reports);
    this.#adopt(chosen);
    const primaries = reports.filter((report) => report.role === 'primary');
    if (primaries.length > 1) {
      const list = primaries.map(({ host, timeline }) => ({ host: host.label, timeline }));
      this.emit('splitBrain', { primaries: list, chosen: chosen.host.label });
    }
    return chosen;
  }

  #endSessions(answers: readonly Answered[], chosen: HostReport | undefined): void {
    for (const { report, session } of answers) {
      if (session === undefined) continue;
      if (report === chosen && this.#sessionWanted && !this.#closing.signal.aborted) this.#spare.keep(session);
      else void endClient(session);
    }
    this.#sessionWanted = false;
  }

  #choose(reports: readonly HostReport[]): HostReport | undefined {
    return chooseHost(reports, this.#settings.targetRole, { current: this.#current?.host, fence: this.#fence });
  }

  #adopt(chosen: HostReport): void {
    const from = this.#current?.host.label;
    this.#current = chosen;
    this.#confirmedAt = performance.now();
    this.#doubtful = false;
    if (chosen.role === 'primary' && chosen.systemId !== undefined && chosen.timeline !== undefined) {
      this.#fence = { systemId: chosen.systemId, timeline: chosen.timeline };
    }
    if (from !== chosen.host.label) this.emit('moved', { from, to: chosen.host.label });
  }

  /** Says of every host why it is not the one; the worst news that a person can mend comes first. */
  #nobody(reports: readonly HostReport[]): HypervaultError {
    const { hosts, targetRole, label } = this.#settings;
    const errors = reports.flatMap(({ error }) => (error === undefined ? [] : [error]));
    const connectedBefore = this.#current !== undefined;
    if (errors.length === hosts.length) {
      const explained = errors.map((error) => connectionError(error, label, { connectedBefore }));
      const mendable = explained.find((error) => !error.retryable);
      if (mendable && (hosts.length === 1 || explained.every((error) => !error.retryable))) return mendable;
    }
    const story = hosts.map((host) => `${host.label} ${this.#describe(host, reports)}`).join('; ');
    const wanted = targetRole === 'any' || targetRole === 'prefer-standby' ? 'server' : targetRole;
    const cause = errors.length > 1 ? new AggregateError(errors, story) : errors[0];
    return new ServerUnavailableError(label, `no ${wanted} to be found: ${story}`, { cause });
  }

  #describe(host: HostAddress, reports: readonly HostReport[]): string {
    const report = reports.find((candidate) => candidate.host.label === host.label);
    if (report === undefined) return 'did not answer';
    if (report.role === undefined) return `failed (${reasonOf(report.error)})`;
    if (report.role === 'primary' && isLeftBehind(report, this.#fence)) {
      return `is a primary left behind on timeline ${report.timeline} (timeline ${this.#fence?.timeline} was seen)`;
    }
    return `is a ${report.role}`;
  }
}

/** Whether this answer is as good as any that may follow, so that the silent hosts need not be waited for. */
function wanted(report: HostReport, target: ResolvedSettings['targetRole']): boolean {
  return target === 'prefer-standby' ? report.role === 'standby' : report.role !== undefined;
}
