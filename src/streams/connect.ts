import { type ConnectionEntry, Datastore, type DatastoreOptions, install } from '../core/index.ts';
import { ConfigurationError } from '../errors.ts';
import { assertKnownKeys } from '../internal/known-keys.ts';
import { EventStore } from './event-store.ts';
import { resolveStreamsOptions, STREAMS_OPTION_KEYS, type StreamsOptions } from './options.ts';

/** Where the events live: a Datastore in use, or the servers to make one for. */
export interface ConnectOptions extends StreamsOptions {
  readonly datastore?: Datastore | undefined;
  /** One entry per server; what streams need there is made with `install()`, and the Datastore is the store's own. */
  readonly connections?: readonly ConnectionEntry[] | undefined;
  /** Options of the Datastore that is made for `connections`. */
  readonly datastoreOptions?: DatastoreOptions | undefined;
}

/**
 * Opens an event store: meets the servers, and makes what streams need there with `install()` where it is missing.
 *
 * @example
 * ```ts
 * await using store = await connect({ datastore: db });
 * ```
 * @throws ConfigurationError, and what connecting to the servers or `install()` throws
 */
export async function connect(options: ConnectOptions): Promise<EventStore> {
  const { datastore, connections, datastoreOptions, ...rest } = options;
  assertKnownKeys(options, [...STREAMS_OPTION_KEYS, 'datastore', 'connections', 'datastoreOptions'], 'connect options');
  const resolved = resolveStreamsOptions(rest);
  if ((datastore === undefined) === (connections === undefined)) {
    throw new ConfigurationError('connect: give either datastore, one that is in use, or connections to make one for');
  }
  if (datastore !== undefined) {
    return opened(new EventStore(datastore, resolved));
  }
  const { epoch, schemaPrefix } = datastoreOptions ?? {};
  await install(connections!, { modules: ['core', 'streams'], epoch, schemaPrefix });
  const own = new Datastore(connections!, datastoreOptions);
  return opened(new EventStore(own, resolved, () => own.disconnect()));
}

/** Meets the servers, and makes what is missing there. */
async function opened(store: EventStore): Promise<EventStore> {
  try {
    await store.open();
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }
}
