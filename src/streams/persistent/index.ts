export { type ConsumerStats, type GroupShardStats, type GroupStats, groupStats } from './group-stats.ts';
export { type ConnectSubscriptionOptions, Groups } from './groups.ts';
export type { NackAction, NackOptions } from './nack.ts';
export { Parked, type ParkedEvent, type ReplayOptions } from './parked.ts';
export { PersistentSubscription } from './persistent-subscription.ts';
export type { ConsumerStrategy, CreateSettings, PersistentSettings } from './settings.ts';
