export { type ConsumerStats, type GroupShardStats, type GroupStats, groupStats } from './group-stats.ts';
export { type ConnectSubscriptionOptions, Groups } from './groups.ts';
export { Parked, type ParkedEvent, type ReplayOptions } from './parked.ts';
export { type NackAction, type NackOptions, PersistentSubscription } from './persistent-subscription.ts';
export type { ConsumerStrategy, CreateSettings, PersistentSettings } from './settings.ts';
