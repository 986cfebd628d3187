import { type Datastore, Key } from 'pg-hypervault';
import { Component, type ExecuteContext } from 'pg-hypervault/listen';
import type { IndexAction, SearchIndex } from './search-index.ts';

/** Changes that travel to the index in one batch. */
const BATCH = 500;

/**
 * Carries changes of entities from the shards of one server into a search index.
 *
 * It reads the log, then what the entities are *now*, tells the index, and only then takes the rows out of the log:
 * a crash in between repeats a batch, which does no harm, and an entity that changed twice is right in the end
 * whatever the order. No notification is needed for correctness; they only say when to look.
 */
export class River extends Component {
  readonly #db: Datastore;
  readonly #shards: readonly number[];
  readonly #index: SearchIndex;
  carried = 0;

  constructor(db: Datastore, shards: readonly number[], index: SearchIndex) {
    super();
    this.#db = db;
    this.#shards = shards;
    this.#index = index;
  }

  async execute(_pre: unknown, { signal }: ExecuteContext): Promise<void> {
    for (const shard of this.#shards) {
      while (!signal.aborted && (await this.#carryBatch(shard))) {
        // There may be more.
      }
    }
  }

  /** False when the log of the shard is empty. */
  async #carryBatch(shard: number): Promise<boolean> {
    const changes = await this.#db.withCursor(shard, async (cursor) => {
      const { rows } = await cursor.query<{ number: string; id: string }>(
        'select number, id from river_changes order by number limit $1',
        [BATCH],
      );
      return rows;
    });
    if (changes.length === 0) return false;
    const ids = [...new Set(changes.map(({ id }) => id))];
    const entities = await this.#db.getMany(ids.map((id) => new Key(id)));
    await this.#index.apply(
      entities.map((entity, at): IndexAction => {
        if (entity === null) return { type: 'delete', id: ids[at]! };
        return { type: 'index', document: { id: ids[at]!, kind: entity.kind, fields: entity.body } };
      }),
    );
    await this.#db.withCursor(shard, (cursor) =>
      cursor.query('delete from river_changes where number = any($1)', [changes.map(({ number }) => number)]),
    );
    this.carried += ids.length;
    return true;
  }
}
