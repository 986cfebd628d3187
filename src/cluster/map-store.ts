import type { ConnectionSettings, HandOver } from '../core/index.ts';
import { type Commit, CommitOrderingError, PostgresCommitStorage } from '../kv/index.ts';
import { MapConflictError } from './errors.ts';
import { formatHandOver } from './hand-over.ts';
import { formatMapDocument, type MapDocument, parseMapDocument } from './map-document.ts';
import type { MapCheck } from './owner-check.ts';

/** The namespace of our own settings in the control database, and the key of the map in it. */
export const MAP_NAMESPACE = 'hypervault';
export const MAP_KEY = 'shard-map';
/** The key of the last hand-over that was announced; begins with {@link MAP_KEY}, so that who follows the map hears of it. */
export const HAND_OVER_KEY = `${MAP_KEY}/hand-over`;

/** Who changes the map, and why: kept with each version. */
export interface MapAuthor {
  readonly author: string;
  readonly comment: string;
}

/** One version of the map. */
export interface MapVersion extends MapAuthor {
  readonly document: MapDocument;
  readonly at: Date;
  /** Counts the versions. */
  readonly version: number;
}

/** The shard map in the control database: every version with its author, changed by compare-and-set on the epoch. */
export class MapStore {
  readonly #storage: PostgresCommitStorage;

  constructor(control: ConnectionSettings) {
    this.#storage = new PostgresCommitStorage({ connection: control, table: MAP_NAMESPACE });
  }

  /** Makes what is missing in the control database. */
  async start(): Promise<void> {
    await this.#storage.start();
  }

  async stop(): Promise<void> {
    await this.#storage.stop();
  }

  /** The newest map, or `null` when there was never one. */
  async read({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<MapVersion | null> {
    const commit = await this.#storage.get(MAP_KEY, undefined, { signal });
    return commit === null || commit.payload === null ? null : versionOf(commit);
  }

  /**
   * Puts a map in place of the one with the epoch below its own.
   *
   * @param options.check - asked before the map is saved, e.g. `ownerCheck(servers)`
   * @param options.previous - the map it replaces, when that was read just now
   * @throws MapConflictError when the newest map is another one; what the check throws, e.g. MapRefusedError
   */
  async publish(
    document: MapDocument,
    { author, comment }: MapAuthor,
    {
      check,
      previous,
      signal,
    }: {
      check?: MapCheck | undefined;
      previous?: MapVersion | undefined;
      signal?: AbortSignal | undefined;
    } = {},
  ): Promise<void> {
    const head = previous ?? (await this.#head(signal));
    const current = head.document?.epoch ?? 0n;
    if (document.epoch !== current + 1n) throw new MapConflictError(document.epoch - 1n, current);
    await check?.(document, head.document, { signal });
    const payload = formatMapDocument(document);
    try {
      await this.#storage.save({ key: MAP_KEY, version: head.version + 1, payload, author, comment }, { signal });
    } catch (error) {
      if (!(error instanceof CommitOrderingError)) throw error;
      const now = await this.read({ signal });
      throw new MapConflictError(document.epoch - 1n, now?.document.epoch ?? 0n, { cause: error });
    }
  }

  /** Tells those who follow the map that a shard is about to be handed over. A hint: only the newest one is kept. */
  async announce(
    handOver: HandOver,
    { author, comment }: MapAuthor,
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    const head = await this.#storage.get(HAND_OVER_KEY, undefined, { signal });
    const payload = formatHandOver(handOver);
    const version = (head?.version ?? 0) + 1;
    try {
      await this.#storage.save({ key: HAND_OVER_KEY, version, payload, author, comment }, { signal });
    } catch (error) {
      // Another move was announced in this moment.
      if (!(error instanceof CommitOrderingError)) throw error;
    }
  }

  /** The newest version, which may hold no map. */
  async #head(signal: AbortSignal | undefined): Promise<{ version: number; document?: MapDocument | undefined }> {
    const head = await this.#storage.get(MAP_KEY, undefined, { signal });
    if (head === null) return { version: 0 };
    return head.payload === null ? { version: head.version } : versionOf(head);
  }

  /** Versions of the map, newest first. */
  async history({
    limit = 100,
    signal,
  }: {
    limit?: number;
    signal?: AbortSignal | undefined;
  } = {}): Promise<MapVersion[]> {
    const commits = await this.#storage.history(MAP_KEY, { limit, signal });
    return commits.filter(({ payload }) => payload !== null).map(versionOf);
  }
}

/** The newest map of a control database, or `null` when there was never one. */
export async function readMap(
  control: ConnectionSettings,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<MapVersion | null> {
  const store = new MapStore(control);
  await store.start();
  try {
    return await store.read(options);
  } finally {
    await store.stop();
  }
}

function versionOf({ payload, author, comment, mtime, version }: Commit): MapVersion {
  return { document: parseMapDocument(payload!), author, comment, at: mtime, version };
}
