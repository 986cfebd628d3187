import './key-buffer.ts';

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
