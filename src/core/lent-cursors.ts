import type { Cursor } from './cursor.ts';
import { ConnectionNotLentError } from './errors.ts';
import type { Server } from './server.ts';
import type { Servers } from './servers.ts';

/** The cursors that callers of one Datastore hold, each with the server its client goes back to. */
export class LentCursors {
  readonly #lent = new Map<Cursor, Server>();

  async lend(servers: Servers, shardId: number, signal: AbortSignal | undefined): Promise<Cursor> {
    const server = servers.of(shardId);
    const cursor = await server.lend(shardId, signal);
    this.#lent.set(cursor, server);
    return cursor;
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
    try {
      return await fn(cursor);
    } catch (error) {
      throw await servers.moved.explain(shardId, epoch, error);
    } finally {
      if (this.#lent.has(cursor)) await this.takeBack(cursor, { broken: false });
    }
  }
}
