import type { ComponentStatus } from './component-runner.ts';
import type { ErrorDecision } from './error-strategy.ts';
import type { HubStatus } from './hub.ts';
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
