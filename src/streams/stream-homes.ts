import type { Datastore } from '../core/index.ts';
import { checkStream } from './stream-name.ts';

/** Names that are remembered; a stream that is written to often is looked up anew now and then. */
const MAX_NAMES = 10_000;

/**
 * The shard that each stream's name stands for. Checking and hashing a name costs about as much as all else that is done
 * for one append, and the answer is always the same, so it is remembered.
 */
export class StreamHomes {
  readonly #datastore: Datastore;
  readonly #shards = new Map<string, number>();

  constructor(datastore: Datastore) {
    this.#datastore = datastore;
  }

  /** @throws BadRequestError when the name is none of one stream */
  of(stream: string): number {
    const known = this.#shards.get(stream);
    if (known !== undefined) return known;
    const shardId = this.#datastore.shardFor(checkStream(stream));
    if (this.#shards.size >= MAX_NAMES) this.#shards.clear();
    this.#shards.set(stream, shardId);
    return shardId;
  }

  /** The shard that was given, or else the one of the name. @throws BadRequestError */
  resolve(stream: string, { shardId }: { readonly shardId?: number | undefined }): number {
    if (shardId === undefined) return this.of(stream);
    checkStream(stream);
    return shardId;
  }
}
