export type { ConnectionSettings, TargetRole } from '../internal/endpoint/settings.ts';
export type { CatchUpContext, CatchUpReason } from './catch-up.ts';
export {
  Component,
  type ComponentContext,
  type ComponentOptions,
  type ExecuteContext,
  type WakeReason,
} from './component.ts';
export type { ComponentStatus } from './component-runner.ts';
export { CommonErrorStrategy, type ErrorAction, type ErrorDecision, type ErrorStrategy } from './error-strategy.ts';
export { InvalidConfigurationError, LeaseLostError, ListenError, type ListenErrorReason } from './errors.ts';
export { type HubEvents, type HubStatus, NotificationHub } from './hub.ts';
export { LeaderLease, type LeaderLeaseEvents, type LeaderLeaseOptions } from './leader-lease.ts';
export { type ListenOptions, listen } from './listen.ts';
export type { ListenMode } from './listening-session.ts';
export type { Notification } from './notification.ts';
export {
  NotificationListener,
  type NotificationListenerOptions,
  type OverflowPolicy,
} from './notification-listener.ts';
export { type NotifyOptions, notify, type Queryable } from './notify.ts';
export type { HubOptions } from './options.ts';
export { PostgresConnector } from './postgres-connector.ts';
export type { ListenState, StateChange } from './state.ts';
export type { NotificationHandler, SubscribeOptions, Subscription } from './subscription.ts';
export { Supervisor } from './supervisor.ts';
export type { SupervisorLeaderOptions, SupervisorOptions } from './supervisor-options.ts';
export type { SupervisorEvents, SupervisorStatus } from './supervisor-status.ts';
