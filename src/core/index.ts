import './key-buffer.ts';

export { type ConnectionEntry, shardMapOf } from './connection-entry.ts';
export { InvalidBodyError, InvalidKeyError, ShardRangeError, UnknownShardError } from './errors.ts';
export {
  DEFAULT_EPOCH,
  type IdRange,
  type IdRangeOptions,
  idRange,
  Key,
  type KeyOptions,
  type KeyParts,
} from './key.ts';
export { type RoutingSettings, shardFor, slotOf } from './routing.ts';
export { ShardMap, type ShardServer } from './shard-map.ts';
export { isShardMapSource, type ShardMapSource, staticShardMapSource } from './shard-map-source.ts';
export {
  formatShardRanges,
  parseShardRanges,
  type ShardRange,
  type ShardRangesInput,
  shardsOf,
} from './shard-range.ts';
