import type { ComponentStatus } from './component-runner.ts';
import type { ErrorDecision } from './error-strategy.ts';
import type { HubStatus, NotificationHub } from './hub.ts';
import type { LeaderLease } from './leader-lease.ts';
import type { Life } from './life.ts';
import type { Listeners } from './listeners.ts';
import type { Processors } from './processors.ts';
import type { StateChange } from './state.ts';

export type SupervisorEvents = {
  state: StateChange;
  /** Something failed, and what was decided about it. */
  error: { readonly component: string; readonly error: unknown; readonly decision: ErrorDecision };
};

/** What a supervisor is doing. */
export interface SupervisorStatus extends HubStatus {
  /** Why the state is what it is. */
  readonly reason: string;
  readonly since: Date;
  /** Runs of all processors that came to their end. */
  readonly runs: number;
  /** Payloads that processors did not get, by the overflow policy of their listeners. */
  readonly dropped: number;
  readonly processors: readonly ComponentStatus[];
  /** Who leads, when a leader is elected. */
  readonly leader: { readonly name: string; readonly leading: boolean; readonly epoch: bigint | undefined } | undefined;
}

/** Puts together what the parts of a supervisor say of themselves. */
export function statusOf(
  hub: NotificationHub,
  life: Life,
  listeners: Listeners,
  { status: processors }: Processors,
  lease: LeaderLease | undefined,
): SupervisorStatus {
  const sum = (field: 'runs' | 'dropped'): number => processors.reduce((total, one) => total + one[field], 0);
  return {
    ...hub.status(),
    state: life.state,
    channels: listeners.channels,
    reason: life.reason,
    since: life.since,
    runs: sum('runs'),
    dropped: sum('dropped'),
    processors,
    leader: lease && { name: lease.name, leading: lease.leading, epoch: lease.epoch },
  };
}
