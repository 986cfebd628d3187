import type { Cursor } from './cursor.ts';
import { ConnectionNotLentError } from './errors.ts';
import type { Server } from './server.ts';
import type { Servers } from './servers.ts';

/** The cursors that callers of one Datastore hold, each with the server its client goes back to. */
export class LentCursors {
  readonly #lent = new Map<Cursor, Server>();

  async lend(servers: Servers, shardId: number, signal: AbortSignal | undefined): Promise<Cursor> {
    for (;;) {
      const server = servers.of(shardId);
      try {
        const cursor = await server.lend(shardId, signal);
        this.#lent.set(cursor, server);
        return cursor;
      } catch (error) {
        if (!servers.moved.hasLeft(server, shardId, error)) throw error;
      }
    }
  }

  /** @throws ConnectionNotLentError when it was given back already, or was never lent here */
  async takeBack(cursor: Cursor, { broken }: { broken: boolean }): Promise<void> {
    const server = this.#lent.get(cursor);
    if (server === undefined) {
      throw new ConnectionNotLentError('this connection is not lent by this datastore; was it given back already?');
    }
    this.#lent.delete(cursor);
    if (broken) await server.pool.discard(cursor.revoke());
    else await server.pool.release(cursor.revoke());
  }

  /** Lends a cursor for the length of `fn`, which may give it back itself. */
  async during<T>(
    servers: Servers,
    shardId: number,
    signal: AbortSignal | undefined,
    fn: (cursor: Cursor) => Promise<T>,
  ): Promise<T> {
    const { epoch } = servers.map;
    const cursor = await this.lend(servers, shardId, signal);
    let failure: unknown;
    try {
      return await fn(cursor);
    } catch (error) {
      failure = error;
    } finally {
      if (this.#lent.has(cursor)) await this.takeBack(cursor, { broken: false });
    }
    // With the client given back: to ask about the shard takes one, and all of them may be waiting here.
    throw await servers.moved.explain(shardId, epoch, failure, cursor.keptWork);
  }
}
