import { type Datastore, Key } from '../../core/index.ts';

/** A value and the key of the row that has it. */
export interface LookupRow {
  readonly value: string;
  readonly key: Key;
  /** Since when, by the server's clock. */
  readonly ageMs: number;
}

const CLAIM = `
with mine as (
  insert into hv_lookup (name, value, key)
  values ($1, $2, $3)
  on conflict do nothing
  returning key
)
select mine.key, 0::float8 as age
from mine
union all
select hv_lookup.key, date_part('epoch', clock_timestamp() - hv_lookup.made) * 1000
from hv_lookup
where hv_lookup.name = $1
  and hv_lookup.value = $2
  and not exists (select from mine)`;

const READ = `
select key, date_part('epoch', clock_timestamp() - made) * 1000 as age
from hv_lookup
where name = $1
  and value = $2`;

const TAKE_OVER = `
update hv_lookup
set key = $3, made = clock_timestamp()
where name = $1
  and value = $2
  and key = $4`;

const RELEASE = 'delete from hv_lookup where name = $1 and value = $2 and key = $3';

const PAGE = `
select value, key, date_part('epoch', clock_timestamp() - made) * 1000 as age
from hv_lookup
where name = $1
  and value > $2
order by value
limit 500`;

/** The rows of one lookup, over all shards. */
export class LookupRows {
  readonly #db: Datastore;
  readonly #name: string;

  constructor(db: Datastore, name: string) {
    this.#db = db;
    this.#name = name;
  }

  /** Who has the value after this: the key given, or the one that had it before. */
  async claim(value: string, key: Key): Promise<LookupRow> {
    for (;;) {
      const [row] = await this.#ask(value, CLAIM, [this.#name, value, key.toString()]);
      // Nobody: somebody else's row was written after our look and before our insert. The next look sees it.
      if (row !== undefined) return this.#row(value, row);
    }
  }

  async read(value: string): Promise<LookupRow | undefined> {
    const [row] = await this.#ask(value, READ, [this.#name, value]);
    return row === undefined ? undefined : this.#row(value, row);
  }

  /** Puts `key` in the place of `from`; `false` when it is there no more. */
  async takeOver(value: string, from: Key, key: Key): Promise<boolean> {
    return this.#changed(value, TAKE_OVER, [this.#name, value, key.toString(), from.toString()]);
  }

  /** Gives a value up, when it is this key's. */
  async release(value: string, key: Key): Promise<boolean> {
    return this.#changed(value, RELEASE, [this.#name, value, key.toString()]);
  }

  /** The rows of one shard, by value, in bounded memory. */
  async *in(shardId: number): AsyncGenerator<LookupRow, void, undefined> {
    for (let after = ''; ; ) {
      const { rows } = await this.#db.transaction(shardId, (cursor) =>
        cursor.query<StoredRow & { value: string }>(PAGE, [this.#name, after]),
      );
      for (const row of rows) yield this.#row(row.value, row);
      const last = rows.at(-1);
      if (last === undefined) return;
      after = last.value;
    }
  }

  #shardOf(value: string): number {
    return this.#db.shardFor(`${this.#name}:${value}`);
  }

  async #ask(value: string, text: string, values: readonly unknown[]): Promise<StoredRow[]> {
    const { rows } = await this.#db.transaction(this.#shardOf(value), (cursor) =>
      cursor.query<StoredRow>(text, values),
    );
    return rows;
  }

  async #changed(value: string, text: string, values: readonly unknown[]): Promise<boolean> {
    const { rowCount } = await this.#db.transaction(this.#shardOf(value), (cursor) => cursor.query(text, values));
    return rowCount === 1;
  }

  #row(value: string, { key, age }: StoredRow): LookupRow {
    return { value, key: new Key(BigInt(key), { epoch: this.#db.epoch }), ageMs: age };
  }
}

interface StoredRow {
  readonly key: string;
  readonly age: number;
}
