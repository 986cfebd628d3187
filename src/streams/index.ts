export type { ConsumerGroupMember } from './all-source.ts';
export type { WriteResult } from './append-call.ts';
export { type ConnectOptions, connect } from './connect.ts';
export {
  AccessDeniedError,
  BadRequestError,
  EventIdConflictError,
  EventNotFoundError,
  EventTooLargeError,
  ForeignEventError,
  LeaseLostError,
  PayloadUnreadableError,
  StreamDeletedError,
  StreamNotFoundError,
  StreamsError,
  SubscriptionCreationFailedError,
  type SubscriptionDropReason,
  SubscriptionFailedError,
  WrongExpectedVersionError,
} from './errors.ts';
export { EventStore } from './event-store.ts';
export type {
  PublishEventOptions,
  SubscribeOptions,
  SubscribeToAllOptions,
  SubscribeToOptions,
} from './event-store-options.ts';
export { ExpectedVersion } from './expected-version.ts';
export { linkTo, NewEvent, type NewEventOptions } from './new-event.ts';
export type { StreamsOptions } from './options.ts';
export {
  type ConnectSubscriptionOptions,
  type ConsumerStats,
  type ConsumerStrategy,
  type CreateSettings,
  type GroupShardStats,
  type GroupStats,
  type NackAction,
  type NackOptions,
  type ParkedEvent,
  type PersistentSettings,
  PersistentSubscription,
  type ReplayOptions,
} from './persistent/index.ts';
export { Position } from './position.ts';
export type { PublishManyOptions, PublishOptions } from './publish.ts';
export type {
  GetAllOptions,
  GetOptions,
  IterAllOptions,
  IterOptions,
  ReadOptions,
  StartPosition,
} from './reader.ts';
export { RecordedEvent } from './recorded-event.ts';
export type { DeleteStreamOptions, RetentionSettings, ScavengeOptions } from './retention.ts';
export { AllSlice, StreamDirection, StreamSlice } from './stream-slice.ts';
export { Subscription } from './subscription.ts';
