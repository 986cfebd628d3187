import type { HostReport } from './host-report.ts';
import type { HostAddress } from './hosts.ts';
import type { TargetRole } from './settings.ts';

/** The newest history seen of one cluster: a primary that writes an older one was left behind by a failover. */
export interface Fence {
  readonly systemId: string;
  readonly timeline: number;
}

/** What is known before the choice. */
export interface Memory {
  readonly current: HostAddress | undefined;
  readonly fence: Fence | undefined;
}

/**
 * Picks the host for the wanted role from what the hosts said of themselves, or `undefined` when none is fit.
 *
 * Among several primaries (split brain) the newest timeline wins, then the one that takes writes, then the one
 * already in use, then the order of `hosts`.
 */
export function chooseHost(
  reports: readonly HostReport[],
  target: TargetRole,
  { current, fence }: Memory,
): HostReport | undefined {
  const remembered = (report: HostReport): number => (report.host.label === current?.label ? 1 : 0);
  const primaries = reports
    .filter((report) => report.role === 'primary' && !isLeftBehind(report, fence))
    .sort(
      (a, b) =>
        (b.timeline ?? 0) - (a.timeline ?? 0) ||
        Number(a.readOnly) - Number(b.readOnly) ||
        remembered(b) - remembered(a),
    );
  // Standbys share the readers of a fleet of processes, so the order among them is random.
  const standbys = reports
    .filter((report) => report.role === 'standby')
    .map((report) => ({ report, rank: remembered(report) + Math.random() / 2 }))
    .sort((a, b) => b.rank - a.rank)
    .map(({ report }) => report);
  switch (target) {
    case 'primary':
      return primaries[0];
    case 'standby':
      return standbys[0];
    case 'prefer-standby':
      return standbys[0] ?? primaries[0];
    case 'any':
      return [...primaries, ...standbys].sort((a, b) => remembered(b) - remembered(a))[0];
  }
}

/** Whether a primary writes an older history than one seen before in the same cluster. */
export function isLeftBehind(report: HostReport, fence: Fence | undefined): boolean {
  return (
    fence !== undefined &&
    report.systemId === fence.systemId &&
    report.timeline !== undefined &&
    report.timeline < fence.timeline
  );
}
