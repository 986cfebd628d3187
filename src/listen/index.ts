export type { ConnectionSettings, TargetRole } from '../internal/endpoint/settings.ts';
export type { CatchUpContext, CatchUpReason } from './catch-up.ts';
export { InvalidConfigurationError, ListenError, type ListenErrorReason } from './errors.ts';
export { type HubEvents, type HubStatus, NotificationHub } from './hub.ts';
export type { ListenMode } from './listening-session.ts';
export type { Notification } from './notification.ts';
export type { HubOptions } from './options.ts';
export type { ListenState, StateChange } from './state.ts';
export type { NotificationHandler, SubscribeOptions, Subscription } from './subscription.ts';
